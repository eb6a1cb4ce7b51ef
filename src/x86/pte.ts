/**
 * Bits of a page-table entry (SDM 3A, "4-Level Paging"). An entry is 64 bits; bits 31:0 fit a number's bit operations,
 * NX is bit 31 of the upper half.
 */

export const PTE_P = 1 << 0;
export const PTE_RW = 1 << 1;
export const PTE_US = 1 << 2;
export const PTE_PWT = 1 << 3;
export const PTE_PCD = 1 << 4;
export const PTE_A = 1 << 5;
export const PTE_D = 1 << 6;
/** In a PDE or PDPTE: maps a page of 2 MiB or 1 GiB. */
export const PTE_PS = 1 << 7;
/** PAT of a 4 KiB entry has PS's place; of a large page it is bit 12. */
export const PTE_PAT = 1 << 7;
export const PTE_PAT_LARGE = 1 << 12;
export const PTE_G = 1 << 8;
/** Bit 63, as a bit of the upper half. */
export const PTE_NX_HIGH = 1 << 31;
export const PTE_NX = 1n << 63n;

/** Bits 51:12: where the next table or the 4 KiB page lies. */
export const PTE_ADDRESS = 0x000f_ffff_ffff_f000n;
/** Bits 51:13 or less are the address of a large page. */
export const PTE_ADDRESS_2M = 0x000f_ffff_ffe0_0000n;
export const PTE_ADDRESS_1G = 0x000f_ffff_c000_0000n;
