export function f2xm1(vp: u32): void {}
export function fyl2x(vp: u32): void {}
export function fyl2xp1(vp: u32): void {}
export function fptan(vp: u32): void {}
export function fpatan(vp: u32): void {}
export function fsin(vp: u32): void {}
export function fcos(vp: u32): void {}
export function fsincos(vp: u32): void {}
