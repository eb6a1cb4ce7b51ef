/**
 * The state of a device is one flat record of plain data: numbers, 64-bit bigints and byte arrays.
 *
 * Laws: a device reads and writes only its record (and the time); arrays in it keep their identity and length,
 * so views on them stay good; whatever can be computed from the record (lines, alarms) is set anew by `restore`.
 * A field may be added whose value at power-on means what was so before there was the field: older and newer builds then read each other's
 * records. Whatever else changes gets another name.
 */

export type DeviceState = { [field: string]: number | bigint | Uint8Array };

/** A device whose whole state can be taken and put back. */
export interface Stateful<S extends DeviceState = DeviceState> {
  /** Called on all devices before any of them is saved: ends what must not be under way, by interrupts and all. */
  settle?(): void;
  save(): S;
  /** Throws `StateError`, having changed nothing, when the record is no record of this device. */
  restore(state: S): void;
}

/** A saved record has not the fields of the device it is to be restored into. */
export class StateError extends Error {
  override name = "StateError";
}

export function copyState<S extends DeviceState>(state: S): S {
  const copy: DeviceState = {};
  for (const [field, value] of Object.entries(state)) copy[field] = value instanceof Uint8Array ? value.slice() : value;
  return copy as S;
}

/**
 * Copies `saved` into `state` in place; what it has not stays as it is, what only it has is left. Requires: `state` is that of power-on
 * where `saved` may be another build's.
 */
export function restoreState<S extends DeviceState>(state: S, saved: DeviceState): void {
  const fields = Object.keys(state).filter((field) => Object.hasOwn(saved, field));
  if (fields.length === 0 && Object.keys(state).length > 0) throw new StateError("a device's record has other fields");
  for (const field of fields) checkField(field, state[field], saved[field]);
  const into: DeviceState = state;
  for (const field of fields) {
    const from = saved[field];
    const to = into[field];
    if (to instanceof Uint8Array) to.set(from as Uint8Array);
    else into[field] = from;
  }
}

function checkField(field: string, ours: DeviceState[string], theirs: DeviceState[string] | undefined): void {
  const same =
    ours instanceof Uint8Array
      ? theirs instanceof Uint8Array && theirs.length === ours.length
      : typeof ours === typeof theirs && !(typeof theirs === "number" && !Number.isFinite(theirs));
  if (!same) throw new StateError(`a device's record has no good field "${field}"`);
}

/**
 * The record as bytes, equal for equal records: fields in the order of their names, each as
 * name, 0, then a double, a 64-bit integer, or the bytes.
 */
export function encodeState(state: DeviceState): Uint8Array {
  const bytes: number[] = [];
  const scratch = new DataView(new ArrayBuffer(8));
  const put8 = (): void => {
    for (let i = 0; i < 8; i++) bytes.push(scratch.getUint8(i));
  };
  for (const field of Object.keys(state).sort()) {
    const value = state[field];
    for (let i = 0; i < field.length; i++) bytes.push(field.charCodeAt(i) & 0xff);
    bytes.push(0);
    if (value instanceof Uint8Array) for (const byte of value) bytes.push(byte);
    else {
      if (typeof value === "bigint") scratch.setBigUint64(0, BigInt.asUintN(64, value), true);
      else scratch.setFloat64(0, value, true);
      put8();
    }
  }
  return Uint8Array.from(bytes);
}
