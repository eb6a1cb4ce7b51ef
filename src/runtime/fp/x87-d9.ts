/** The D9 E0..FF group: register forms without an operand, by their ModRM byte. */
import { Env, NEAREST, UP } from "./environment";
import { give } from "./f80";
import { fabs, fchs, fprem, frndint, fscale, fsqrt, ftst, fxam, fxtract, rotate } from "./x87-arithmetic";
import { begin, push } from "./x87-stack";
import { f2xm1, fcos, fpatan, fptan, fsin, fsincos, fyl2x, fyl2xp1 } from "./x87-transcendental";

/**
 * FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ, two words each: the mantissa cut to 64 bits, then se with, above it, bit 16
 * when rounding to nearest goes up, bit 17 when rounding up must (the constant is not exact).
 */
const CONSTANTS = memory.data<u64>([
  0x8000000000000000, 0x3fff, 0xd49a784bcd1b8afe, 0x24000, 0xb8aa3b295c17f0bb, 0x33fff, 0xc90fdaa22168c234, 0x34000,
  0x9a209a84fbcff798, 0x33ffd, 0xb17217f7d1cf79ab, 0x33ffe, 0, 0,
]);

function constant(vp: u32, n: u32): void {
  begin(vp);
  const at = <u32>CONSTANTS + (n << 4);
  const how = load<u64>(at, 8);
  const up = Env.rounding == NEAREST ? (how >> 16) & 1 : Env.rounding == UP ? (how >> 17) & 1 : 0;
  push(vp, give(u32(how & 0xffff), load<u64>(at) + up));
}

export function x87_d9_group(vp: u32, modrm: u32): void {
  switch (modrm & 0xff) {
    case 0xe0:
      return fchs(vp);
    case 0xe1:
      return fabs(vp);
    case 0xe4:
      return ftst(vp);
    case 0xe5:
      return fxam(vp);
    case 0xe8:
    case 0xe9:
    case 0xea:
    case 0xeb:
    case 0xec:
    case 0xed:
    case 0xee:
      return constant(vp, modrm & 7);
    case 0xf0:
      return f2xm1(vp);
    case 0xf1:
      return fyl2x(vp);
    case 0xf2:
      return fptan(vp);
    case 0xf3:
      return fpatan(vp);
    case 0xf4:
      return fxtract(vp);
    case 0xf5:
      return fprem(vp, true);
    case 0xf6:
      return rotate(vp, 7);
    case 0xf7:
      return rotate(vp, 1);
    case 0xf8:
      return fprem(vp, false);
    case 0xf9:
      return fyl2xp1(vp);
    case 0xfa:
      return fsqrt(vp);
    case 0xfb:
      return fsincos(vp);
    case 0xfc:
      return frndint(vp);
    case 0xfd:
      return fscale(vp);
    case 0xfe:
      return fsin(vp);
    case 0xff:
      return fcos(vp);
  }
}
