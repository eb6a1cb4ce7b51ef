/**
 * The text form of modules that our encoder makes: instructions as in the specification's text format, one a line behind its
 * offset in the module, blocks indented.
 *
 *     func 12 "r0e0" (type 1) (param i32 i32) (local i64 i32)
 *       00012f  block  ;; @1
 *       000131    local.get 0
 *       000133    br_if 0  ;; @1
 *       000135  end
 *
 * A branch names the block it leaves, or the loop it repeats, by the number that stands where that begins; @0 is the
 * function. What is not understood is shown as bytes and ends its function's text: nothing throws.
 */
import { atomicInstructions, type Immediates, plainInstructions, vectorInstructions } from "./instruction-names.ts";
import { typeByte, W } from "./opcodes.ts";
import { Reader } from "./reader.ts";

/** Which functions are shown: all without one. */
export type FunctionFilter = (index: number, exportName: string | undefined) => boolean;

interface Signature {
  readonly parameters: readonly string[];
  readonly results: readonly string[];
}

/** What the sections before the code say. */
interface Declared {
  readonly types: Signature[];
  /** Names of the functions that come first. */
  readonly imported: string[];
  /** Type of each function that has a body here. */
  readonly functions: number[];
  readonly exports: Map<number, string>;
}

const typeNames = new Map<number, string>(Object.entries(typeByte).map(([name, byte]) => [byte, name]));
const offsetText = (n: number): string => n.toString(16).padStart(6, "0");
const clause = (word: string, types: readonly string[]): string =>
  types.length === 0 ? "" : ` (${word} ${types.join(" ")})`;

export function printModule(bytes: Uint8Array, shown: FunctionFilter = () => true): string {
  const reader = new Reader(bytes);
  const lines = [`module, ${bytes.length} bytes`];
  if (reader.take(8).join() !== "0,97,115,109,1,0,0,0") return `${lines[0]}\nnot a WebAssembly module of version 1`;
  const declared: Declared = { types: [], imported: [], functions: [], exports: new Map() };
  while (reader.left > 0 && !reader.failed) {
    const id = reader.byte();
    const section = reader.part(reader.u32());
    printSection(id, section, declared, shown, lines);
    if (section.failed) lines.push(`section ${id} ends early`);
  }
  if (reader.failed) lines.push("the module ends early");
  return lines.join("\n");
}

function printSection(id: number, section: Reader, declared: Declared, shown: FunctionFilter, lines: string[]): void {
  const each = (visit: (n: number) => unknown): void => {
    const count = section.u32();
    for (let n = 0; n < count && !section.failed; n++) visit(n);
  };
  switch (id) {
    case 1:
      each((n) => {
        const type = readSignature(section);
        declared.types.push(type);
        lines.push(`type ${n} (func${clause("param", type.parameters)}${clause("result", type.results)})`);
      });
      break;
    case 2:
      each(() => lines.push(readImport(section, declared)));
      break;
    case 3:
      each(() => declared.functions.push(section.u32()));
      break;
    case 7:
      each(() => {
        const name = section.name();
        const kind = section.byte();
        const index = section.u32();
        if (kind === 0) declared.exports.set(index, name);
        else lines.push(`export ${JSON.stringify(name)} (kind ${kind}) ${index}`);
      });
      break;
    case 10:
      each((n) => printFunction(section, n, declared, shown, lines));
      break;
    case 0:
      lines.push(`custom ${JSON.stringify(section.name())}, ${section.left} bytes`);
      break;
    default:
      lines.push(`section ${id}, ${section.left} bytes`);
  }
}

const readType = (reader: Reader): string => {
  const byte = reader.byte();
  return typeNames.get(byte) ?? `?0x${byte.toString(16)}`;
};

function readTypes(reader: Reader): string[] {
  const types: string[] = [];
  for (let count = reader.u32(); count > 0 && !reader.failed; count--) types.push(readType(reader));
  return types;
}

function readSignature(reader: Reader): Signature {
  if (reader.byte() !== 0x60) reader.failed = true;
  return { parameters: readTypes(reader), results: readTypes(reader) };
}

function readLimits(reader: Reader): string {
  const flags = reader.byte();
  const initial = reader.u32();
  return `${initial}${(flags & 1) !== 0 ? ` ${reader.u32()}` : ""}${(flags & 2) !== 0 ? " shared" : ""}`;
}

function readImport(reader: Reader, declared: Declared): string {
  const [module, name] = [reader.name(), reader.name()];
  const from = `import ${JSON.stringify(module)} ${JSON.stringify(name)}`;
  const kind = reader.byte();
  switch (kind) {
    case 0:
      return `${from} (func ${declared.imported.push(`${module}.${name}`) - 1} (type ${reader.u32()}))`;
    case 1: {
      const element = reader.byte() === 0x70 ? "funcref" : "externref";
      return `${from} (table ${readLimits(reader)} ${element})`;
    }
    case 2:
      return `${from} (memory ${readLimits(reader)})`;
    case 3:
      return `${from} (global ${readType(reader)}${reader.byte() === 0 ? "" : " mut"})`;
    default:
      reader.failed = true;
      return `${from} (kind ${kind})`;
  }
}

function printFunction(section: Reader, n: number, declared: Declared, shown: FunctionFilter, lines: string[]): void {
  const index = declared.imported.length + n;
  const name = declared.exports.get(index);
  const body = section.part(section.u32());
  if (!shown(index, name)) return;
  const type = declared.functions[n] ?? 0;
  const parameters = clause("param", declared.types[type]?.parameters ?? []);
  const results = clause("result", declared.types[type]?.results ?? []);
  const locals: string[] = [];
  for (let runs = body.u32(); runs > 0 && !body.failed; runs--) {
    const count = body.u32();
    const local = readType(body);
    locals.push(count === 1 ? local : `${count}*${local}`);
  }
  const title = name === undefined ? `func ${index}` : `func ${index} ${JSON.stringify(name)}`;
  lines.push(`${title} (type ${type})${parameters}${results}${clause("local", locals)}`);
  printBody(body, declared, lines);
  if (body.failed) lines.push("  the function ends early");
}

function printBody(body: Reader, declared: Declared, lines: string[]): void {
  /** Numbers of the open blocks, the function's first. */
  const open: number[] = [0];
  let begun = 0;
  const target = (depth: number): string => {
    const block = open[open.length - 1 - depth];
    return block === undefined ? "@?" : `@${block}`;
  };
  while (body.left > 0 && !body.failed && open.length > 0) {
    const at = body.at;
    const opcode = body.byte();
    const instruction = lookUp(opcode, body);
    if (instruction === undefined) {
      const bytes = [...body.take(8)].map((byte) => byte.toString(16).padStart(2, "0"));
      lines.push(`  ${offsetText(at)}  unknown 0x${opcode.toString(16)} before ${bytes.join(" ")}`);
      return;
    }
    if (opcode === W.end) open.pop();
    const depth = Math.max(0, open.length - (opcode === W.else ? 2 : 1));
    let text = instruction.name + immediatesText(instruction.immediates, body, target, declared);
    if (instruction.immediates === "block") {
      open.push(++begun);
      text += `  ;; @${begun}`;
    }
    lines.push(`  ${offsetText(at)}  ${"  ".repeat(depth)}${text}`);
  }
}

function lookUp(opcode: number, body: Reader) {
  if (opcode === 0xfd) return vectorInstructions.get(body.u32());
  if (opcode === 0xfe) return atomicInstructions.get(body.u32());
  return plainInstructions.get(opcode);
}

function immediatesText(
  immediates: Immediates,
  body: Reader,
  target: (depth: number) => string,
  declared: Declared,
): string {
  switch (immediates) {
    case "none":
      return "";
    case "block": {
      const byte = body.byte();
      return byte === 0x40 ? "" : ` (result ${typeNames.get(byte) ?? "?"})`;
    }
    case "label": {
      const depth = body.u32();
      return ` ${depth}  ;; ${target(depth)}`;
    }
    case "labels": {
      const depths: number[] = [];
      for (let count = body.u32(); count >= 0 && !body.failed; count--) depths.push(body.u32());
      return ` ${depths.join(" ")}  ;; ${depths.map(target).join(" ")}`;
    }
    case "index":
      return ` ${body.u32()}`;
    case "function": {
      const index = body.u32();
      const name = declared.imported[index];
      return name === undefined ? ` ${index}` : ` ${index}  ;; ${name}`;
    }
    case "typeAndTable":
      return ` (type ${body.u32()}) table ${body.u32()}`;
    case "memory":
      return memoryText(body);
    case "memoryAndLane":
      return `${memoryText(body)} ${body.byte()}`;
    case "lane":
      return ` ${body.byte()}`;
    case "sixteenBytes":
      return ` ${body.take(16).join(" ")}`;
    case "i32":
      return ` ${body.s32()}`;
    case "i64":
      return ` ${body.s64()}`;
    case "f32":
      return ` ${littleEndian(body, 4).getFloat32(0, true)}`;
    case "f64":
      return ` ${littleEndian(body, 8).getFloat64(0, true)}`;
  }
}

function littleEndian(body: Reader, size: number): DataView {
  const copy = new Uint8Array(size);
  copy.set(body.take(size));
  return new DataView(copy.buffer);
}

function memoryText(body: Reader): string {
  const alignment = body.u32();
  const offset = body.u32();
  return `${offset === 0 ? "" : ` offset=${offset}`}${alignment === 0 ? "" : ` align=${2 ** alignment}`}`;
}
