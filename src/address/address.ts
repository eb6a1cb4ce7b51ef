/**
 * The addresses of a virtual machine, each a type of its own.
 *
 * A GVA passes through the guest's page tables to a GPA, a GPA through the memslots to a frame, and a frame has
 * an HPA: its offset in the process's arena. Only `memory/` computes an HPA.
 */

declare const gpaTag: unique symbol;
declare const gvaTag: unique symbol;
declare const hpaTag: unique symbol;

/** Guest-physical address. x86-64 stops at 52 bits, so a number holds each one exactly. */
export type Gpa = number & { readonly [gpaTag]: true };
/** Guest-virtual address: 64 bits, unsigned. */
export type Gva = bigint & { readonly [gvaTag]: true };
/** Host-physical address: byte offset in the arena, below 2^32. */
export type Hpa = number & { readonly [hpaTag]: true };
/** Guest frame number: the page number of a GPA. */
export type Gfn = number;

export const pageShift = 12;
export const pageSize = 4096;

export const gpa = (value: number): Gpa => value as Gpa;
export const gva = (value: bigint): Gva => BigInt.asUintN(64, value) as Gva;
export const hpa = (value: number): Hpa => value as Hpa;

/** Page number of a GPA, which may pass 2^32. */
export const gfnOf = (address: Gpa): Gfn => Math.floor(address / pageSize);
/** Byte offset of an address in its page. */
export const offsetIn = (address: Gpa): number => address % pageSize;
export const gpaOf = (gfn: Gfn): Gpa => (gfn * pageSize) as Gpa;
