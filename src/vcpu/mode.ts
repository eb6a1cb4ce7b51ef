/**
 * The mode bits: all that decides how code bytes are translated, besides the bytes. Translations are keyed by them.
 *
 * The field MODE of the record holds them; the runtime computes them anew (`update_mode`) whenever CPL, CS, EFLAGS.AC,
 * CR0, CR4, EFER or a segment base changes.
 */
export const Mode = {
  /** Which TLB: 0 user, 1 supervisor, 2 supervisor that may touch user pages (SMAP off, or EFLAGS.AC set). */
  tlbMask: 3,
  /** 32-bit code size (compatibility mode). */
  code32: 1 << 2,
  /** 16-bit code size; excludes code32. */
  code16: 1 << 3,
  /**
   * Compatibility mode with a nonzero ES, CS, SS or DS base, or an ES or DS that is null or may not be written to: bases
   * are added and segments checked. (Those of FS and GS always are.)
   */
  segmented: 1 << 4,
  /** CR0.EM or CR0.TS: x87, MMX and SSE raise #UD or #NM. */
  noFpu: 1 << 5,
  /** CR4.OSFXSR is clear: SSE raises #UD. */
  noSse: 1 << 6,
} as const;

export const modeTlb = { user: 0, supervisor: 1, supervisorAc: 2 } as const;
