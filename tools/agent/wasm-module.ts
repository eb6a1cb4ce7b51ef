/** Reads a WebAssembly module (core specification, "Binary Format"): the parts that the agent's has, and no others. */
export interface FunctionType {
  readonly parameters: number;
  readonly results: number;
}

export interface WasmFunction {
  readonly type: FunctionType;
  readonly locals: number;
  /** The instructions, with the last `end`. */
  readonly code: Uint8Array;
}

export interface WasmModule {
  readonly types: readonly FunctionType[];
  /** In the index space of functions they come before `functions`. */
  readonly imports: readonly { readonly name: string; readonly type: FunctionType }[];
  readonly functions: readonly WasmFunction[];
  readonly globals: readonly bigint[];
  readonly exports: ReadonlyMap<string, number>;
  readonly data: readonly { readonly address: number; readonly bytes: Uint8Array }[];
  readonly memoryBytes: number;
}

const section = { type: 1, import: 2, function: 3, memory: 5, global: 6, export: 7, code: 10, data: 11 } as const;
/** Names, and the number of data segments, say nothing that we need. */
const known: readonly number[] = [0, 12, ...Object.values(section)];

export class WasmReader {
  readonly bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    if (this.done) throw new Error("the module ends too early");
    return this.bytes[this.at++];
  }

  /** A LEB128 number without a sign. */
  unsigned(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  /** A LEB128 number with a sign. */
  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; ) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte < 0x80) return BigInt.asIntN(Number(shift), value);
    }
  }

  take(size: number): Uint8Array {
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }

  text(): string {
    return new TextDecoder().decode(this.take(this.unsigned()));
  }

  list<T>(read: () => T): T[] {
    return Array.from({ length: this.unsigned() }, read);
  }
}

export function readModule(bytes: Uint8Array): WasmModule {
  const file = new WasmReader(bytes);
  file.take(8);
  const sections = new Map<number, WasmReader>();
  while (!file.done) {
    const id = file.byte();
    if (!known.includes(id)) throw new Error(`the module has a section ${id}, which is not translated`);
    sections.set(id, new WasmReader(file.take(file.unsigned())));
  }
  const listOf = <T>(id: number, read: (reader: WasmReader) => T): T[] => {
    const reader = sections.get(id);
    return reader ? reader.list(() => read(reader)) : [];
  };
  const types = listOf(section.type, (reader) => {
    reader.byte();
    return { parameters: reader.list(() => reader.byte()).length, results: reader.list(() => reader.byte()).length };
  });
  const imports = listOf(section.import, (reader) => {
    const name = `${reader.text()}.${reader.text()}`;
    if (reader.byte() !== 0) throw new Error(`${name} is no function`);
    return { name, type: types[reader.unsigned()] };
  });
  const typeOfFunction = listOf(section.function, (reader) => types[reader.unsigned()]);
  const [memoryPages] = listOf(section.memory, (reader) => {
    const limited = reader.byte() !== 0;
    const pages = reader.unsigned();
    if (limited) reader.unsigned();
    return pages;
  });
  const globals = listOf(section.global, (reader) => {
    reader.take(2);
    return constant(reader);
  });
  const exports = listOf(section.export, (reader) => [reader.text(), reader.byte(), reader.unsigned()] as const);
  const functions = listOf(section.code, (reader) => {
    const body = new WasmReader(reader.take(reader.unsigned()));
    const locals = body
      .list(() => {
        const count = body.unsigned();
        body.byte();
        return count;
      })
      .reduce((sum, count) => sum + count, 0);
    return { locals, code: body.bytes.subarray(body.at) };
  }).map((body, i) => ({ ...body, type: typeOfFunction[i] }));
  const data = listOf(section.data, (reader) => {
    if (reader.byte() !== 0) throw new Error("a data segment is not placed at an address");
    const address = Number(constant(reader));
    return { address, bytes: reader.take(reader.unsigned()) };
  });
  return {
    types,
    imports,
    functions,
    globals,
    exports: new Map(exports.filter(([, kind]) => kind === 0).map(([name, , index]) => [name, index])),
    data,
    memoryBytes: (memoryPages ?? 0) * 65536,
  };
}

/** A constant expression: i32.const or i64.const, then end. */
function constant(reader: WasmReader): bigint {
  const op = reader.byte();
  if (op !== 0x41 && op !== 0x42) throw new Error("an initial value is not a constant");
  const value = reader.signed();
  reader.byte();
  return value;
}
