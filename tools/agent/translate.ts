/**
 * WebAssembly to x86-64, an instruction at a time: the operand stack is the processor's stack, 8 bytes a value.
 *
 *   [rbp + 16 ...]   parameters, the last one first, pushed by the caller as operands, removed by the callee
 *   [rbp - 8 ...]    locals, then operands
 *
 * Law: an i32 is held with its upper half zero. The one import is the system call itself. Addresses are as the module has
 * them: its memory must lie where its addresses say, and no access is checked, for the module is ours.
 */
import { type Label, type MachineCode, newLabel } from "./machine-code.ts";
import { type FunctionType, type WasmFunction, type WasmModule, WasmReader } from "./wasm-module.ts";

/** What jumps to a block's label, and what the stack then is. */
interface Block {
  readonly kind: "block" | "loop" | "if" | "function";
  readonly results: number;
  readonly height: number;
  readonly label: Label;
  /** Of an `if`: where it goes on when the condition is zero. */
  readonly otherwise?: Label;
}

const rax = 0;
const rcx = 1;
const rdx = 2;
const pop = (register: number): number => 0x58 + register;
const pushRax = 0x50;

/** Arithmetic on rax and rcx, by the opcode of the i32 form; the i64 forms have REX.W before them. */
const binary: Readonly<Record<number, readonly number[]>> = {
  106: [0x01, 0xc8],
  107: [0x29, 0xc8],
  108: [0x0f, 0xaf, 0xc1],
  113: [0x21, 0xc8],
  114: [0x09, 0xc8],
  115: [0x31, 0xc8],
  116: [0xd3, 0xe0],
  117: [0xd3, 0xf8],
  118: [0xd3, 0xe8],
};

/** Condition codes of SETcc, from `eq` on. */
const conditions = [0x94, 0x95, 0x9c, 0x92, 0x9f, 0x97, 0x9e, 0x96, 0x9d, 0x93];

/** Loads to rax from [rax + offset], stores of rcx to it. */
const loads: Readonly<Record<number, readonly number[]>> = {
  40: [0x8b],
  41: [0x48, 0x8b],
  44: [0x0f, 0xbe],
  45: [0x0f, 0xb6],
  46: [0x0f, 0xbf],
  47: [0x0f, 0xb7],
  48: [0x48, 0x0f, 0xbe],
  49: [0x0f, 0xb6],
  50: [0x48, 0x0f, 0xbf],
  51: [0x0f, 0xb7],
  52: [0x48, 0x63],
  53: [0x8b],
};
const stores: Readonly<Record<number, readonly number[]>> = {
  54: [0x89],
  55: [0x48, 0x89],
  58: [0x88],
  59: [0x66, 0x89],
  60: [0x88],
  61: [0x66, 0x89],
  62: [0x89],
};

/** Translates all functions; gives back where each begins, the imports' places empty. */
export function translateModule(
  code: MachineCode,
  module: WasmModule,
  globalAddress: (index: number) => number,
): Label[] {
  const entries: Label[] = [...module.imports, ...module.functions].map(newLabel);
  module.functions.forEach((each, i) => {
    code.place(entries[module.imports.length + i]);
    new FunctionTranslator(code, module, entries, globalAddress, each).translate();
  });
  return entries;
}

class FunctionTranslator {
  readonly #code: MachineCode;
  readonly #module: WasmModule;
  readonly #entries: readonly Label[];
  readonly #globalAddress: (index: number) => number;
  readonly #function: WasmFunction;
  readonly #reader: WasmReader;
  readonly #blocks: Block[] = [];
  #height = 0;
  /** Blocks opened in code that nothing reaches; undefined in code that is reached. */
  #dead: number | undefined;

  constructor(
    code: MachineCode,
    module: WasmModule,
    entries: readonly Label[],
    globalAddress: (index: number) => number,
    each: WasmFunction,
  ) {
    this.#code = code;
    this.#module = module;
    this.#entries = entries;
    this.#globalAddress = globalAddress;
    this.#function = each;
    this.#reader = new WasmReader(each.code);
  }

  translate(): void {
    const { type, locals } = this.#function;
    // push rbp; mov rbp, rsp; then a zero for each local
    this.#code.emit(0x55, 0x48, 0x89, 0xe5);
    for (let i = 0; i < locals; i++) this.#code.emit(0x6a, 0);
    this.#blocks.push({ kind: "function", results: type.results, height: 0, label: newLabel() });
    while (!this.#reader.done) this.#instruction(this.#reader.byte());
  }

  #instruction(op: number): void {
    if (this.#dead !== undefined && !this.#revives(op)) return this.#skip(op);
    if (op in binary) return this.#binary(false, binary[op]);
    if (op - 18 in binary) return this.#binary(true, binary[op - 18]);
    if (op in loads) return this.#load(loads[op]);
    if (op in stores) return this.#store(stores[op]);
    if (op >= 0x46 && op <= 0x4f) return this.#compare(false, conditions[op - 0x46]);
    if (op >= 0x51 && op <= 0x5a) return this.#compare(true, conditions[op - 0x51]);
    const { results } = this.#function.type;
    switch (op) {
      case 0x00:
        this.#code.emit(0x0f, 0x0b);
        this.#dead = 0;
        return;
      case 0x01:
        return;
      case 0x02:
      case 0x03:
      case 0x04:
        return this.#open(op);
      case 0x05:
        return this.#else();
      case 0x0b:
        return this.#end();
      case 0x0c:
        this.#branch(this.#reader.unsigned());
        this.#dead = 0;
        return;
      case 0x0d:
        return this.#branchIf(this.#reader.unsigned());
      case 0x0e:
        return this.#branchTable();
      case 0x0f:
        this.#return(results);
        this.#dead = 0;
        return;
      case 0x10:
        return this.#call(this.#reader.unsigned());
      case 0x1a:
        // add rsp, 8
        this.#code.emit(0x48, 0x83, 0xc4, 8);
        this.#height--;
        return;
      case 0x1b:
        // test ecx, ecx; cmovz rax, rdx
        this.#pop(rcx, rdx, rax);
        this.#code.emit(0x85, 0xc9, 0x48, 0x0f, 0x44, 0xc2);
        return this.#push();
      case 0x20:
        this.#code.emit(0xff, 0xb5);
        this.#code.word(this.#local(this.#reader.unsigned()));
        this.#height++;
        return;
      case 0x21:
        this.#code.emit(0x8f, 0x85);
        this.#code.word(this.#local(this.#reader.unsigned()));
        this.#height--;
        return;
      case 0x22:
        // mov rax, [rsp]; mov [rbp + local], rax
        this.#code.emit(0x48, 0x8b, 0x04, 0x24, 0x48, 0x89, 0x85);
        this.#code.word(this.#local(this.#reader.unsigned()));
        return;
      case 0x23:
        this.#code.emit(0xff, 0x34, 0x25);
        this.#code.word(this.#globalAddress(this.#reader.unsigned()));
        this.#height++;
        return;
      case 0x24:
        this.#code.emit(0x8f, 0x04, 0x25);
        this.#code.word(this.#globalAddress(this.#reader.unsigned()));
        this.#height--;
        return;
      case 0x41:
        return this.#constant(BigInt.asUintN(32, this.#reader.signed()));
      case 0x42:
        return this.#constant(this.#reader.signed());
      case 0x45:
        return this.#isZero(false);
      case 0x50:
        return this.#isZero(true);
      case 0x6e:
      case 0x70:
        // xor edx, edx; div ecx
        this.#pop(rcx, rax);
        this.#code.emit(0x31, 0xd2, 0xf7, 0xf1);
        if (op === 0x70) this.#code.emit(0x89, 0xd0);
        return this.#push();
      case 0xa7:
        // mov dword [rsp + 4], 0
        this.#code.emit(0xc7, 0x44, 0x24, 4);
        this.#code.word(0);
        return;
      case 0xac:
        return this.#unary(0x48, 0x63, 0xc0);
      case 0xad:
        return;
      case 0xc0:
        return this.#unary(0x0f, 0xbe, 0xc0);
      case 0xc1:
        return this.#unary(0x0f, 0xbf, 0xc0);
      case 0xfc:
        return this.#bulk(this.#reader.unsigned());
      default:
        throw new Error(`no translation of the WebAssembly instruction 0x${op.toString(16)}`);
    }
  }

  /** Whether code is reached again behind this instruction, which belongs to a block that is. */
  #revives(op: number): boolean {
    return this.#dead === 0 && (op === 0x05 || op === 0x0b);
  }

  #skip(op: number): void {
    const reader = this.#reader;
    if (op >= 0x02 && op <= 0x04) {
      reader.byte();
      this.#dead = (this.#dead ?? 0) + 1;
    } else if (op === 0x0b) this.#dead = (this.#dead ?? 0) - 1;
    else if (op === 0x0c || op === 0x0d || op === 0x10 || (op >= 0x20 && op <= 0x24)) reader.unsigned();
    else if (op === 0x0e) {
      reader.list(() => reader.unsigned());
      reader.unsigned();
    } else if (op === 0x41 || op === 0x42) reader.signed();
    else if (op in loads || op in stores) this.#offset();
    else if (op === 0xfc) reader.take(reader.unsigned() === 10 ? 2 : 1);
  }

  #pop(...registers: readonly number[]): void {
    this.#code.emit(...registers.map(pop));
    this.#height -= registers.length;
  }

  #push(): void {
    this.#code.emit(pushRax);
    this.#height++;
  }

  #unary(...bytes: readonly number[]): void {
    this.#pop(rax);
    this.#code.emit(...bytes);
    this.#push();
  }

  #binary(wide: boolean, bytes: readonly number[]): void {
    this.#pop(rcx, rax);
    this.#code.emit(...(wide ? [0x48] : []), ...bytes);
    this.#push();
  }

  #compare(wide: boolean, condition: number): void {
    this.#pop(rcx, rax);
    this.#code.emit(...(wide ? [0x48] : []), 0x39, 0xc8);
    this.#condition(condition);
  }

  #isZero(wide: boolean): void {
    this.#pop(rax);
    this.#code.emit(...(wide ? [0x48] : []), 0x85, 0xc0);
    this.#condition(0x94);
  }

  /** setcc al; movzx eax, al */
  #condition(condition: number): void {
    this.#code.emit(0x0f, condition, 0xc0, 0x0f, 0xb6, 0xc0);
    this.#push();
  }

  #constant(value: bigint): void {
    if (BigInt.asIntN(32, value) === value) {
      this.#code.emit(0x68);
      this.#code.word(Number(value));
      this.#height++;
      return;
    }
    // mov rax, imm64
    this.#code.emit(0x48, 0xb8);
    this.#code.word(Number(BigInt.asIntN(32, value)));
    this.#code.word(Number(BigInt.asIntN(32, value >> 32n)));
    this.#push();
  }

  #offset(): number {
    this.#reader.unsigned();
    return this.#reader.unsigned();
  }

  #load(bytes: readonly number[]): void {
    this.#pop(rax);
    this.#code.emit(...bytes, 0x80);
    this.#code.word(this.#offset());
    this.#push();
  }

  #store(bytes: readonly number[]): void {
    this.#pop(rcx, rax);
    this.#code.emit(...bytes, 0x88);
    this.#code.word(this.#offset());
  }

  #local(index: number): number {
    const { parameters } = this.#function.type;
    return index < parameters ? 16 + 8 * (parameters - 1 - index) : -8 * (index - parameters + 1);
  }

  #open(op: number): void {
    const results = this.#reader.byte() === 0x40 ? 0 : 1;
    const kind = op === 0x02 ? "block" : op === 0x03 ? "loop" : "if";
    if (kind === "if") this.#pop(rcx);
    const block: Block = {
      kind,
      results,
      height: this.#height,
      label: newLabel(),
      ...(kind === "if" && { otherwise: newLabel() }),
    };
    this.#blocks.push(block);
    if (kind === "loop") this.#code.place(block.label);
    if (block.otherwise) {
      // test ecx, ecx; jz
      this.#code.emit(0x85, 0xc9);
      this.#code.jump([0x0f, 0x84], block.otherwise);
    }
  }

  #else(): void {
    const block = this.#blocks[this.#blocks.length - 1];
    if (!block.otherwise) throw new Error("else without if");
    if (this.#dead === undefined) this.#code.jump([0xe9], block.label);
    this.#code.place(block.otherwise);
    this.#dead = undefined;
    this.#height = block.height;
  }

  #end(): void {
    const block = this.#blocks.pop();
    if (!block) throw new Error("end without block");
    if (block.kind !== "loop") this.#code.place(block.label);
    if (block.otherwise && block.otherwise.at === undefined) this.#code.place(block.otherwise);
    this.#dead = undefined;
    this.#height = block.height + block.results;
    if (block.kind === "function") this.#return(block.results);
  }

  #branch(depth: number): void {
    const block = this.#blocks[this.#blocks.length - 1 - depth];
    const carried = block.kind === "loop" ? 0 : block.results;
    if (this.#height !== block.height + carried) {
      if (carried) this.#code.emit(pop(rax));
      // lea rsp, [rbp - ...]
      this.#code.emit(0x48, 0x8d, 0xa5);
      this.#code.word(-8 * (this.#function.locals + block.height));
      if (carried) this.#code.emit(pushRax);
    }
    this.#code.jump([0xe9], block.label);
  }

  #branchIf(depth: number): void {
    this.#pop(rcx);
    const stay = newLabel();
    this.#code.emit(0x85, 0xc9);
    this.#code.jump([0x0f, 0x84], stay);
    this.#branch(depth);
    this.#code.place(stay);
  }

  #branchTable(): void {
    const depths = this.#reader.list(() => this.#reader.unsigned());
    const last = this.#reader.unsigned();
    this.#pop(rcx);
    depths.forEach((depth, value) => {
      const next = newLabel();
      // cmp ecx, value; jne
      this.#code.emit(0x81, 0xf9);
      this.#code.word(value);
      this.#code.jump([0x0f, 0x85], next);
      this.#branch(depth);
      this.#code.place(next);
    });
    this.#branch(last);
    this.#dead = 0;
  }

  #return(results: number): void {
    if (results > 0) this.#code.emit(pop(rax));
    // leave; ret parameters
    const bytes = 8 * this.#function.type.parameters;
    this.#code.emit(0xc9, 0xc2, bytes & 0xff, bytes >> 8);
  }

  #call(index: number): void {
    const imported = this.#module.imports[index];
    const type: FunctionType = imported?.type ?? this.#module.functions[index - this.#module.imports.length].type;
    this.#height -= type.parameters;
    if (imported) {
      if (imported.name !== "kernel.call") throw new Error(`nothing is behind the import ${imported.name}`);
      // pop r9, r8, r10, rdx, rsi, rdi, rax; syscall
      this.#code.emit(0x41, 0x59, 0x41, 0x58, 0x41, 0x5a, 0x5a, 0x5e, 0x5f, 0x58, 0x0f, 0x05);
    } else this.#code.jump([0xe8], this.#entries[index]);
    if (type.results > 0) this.#push();
  }

  #bulk(op: number): void {
    if (op === 10) {
      this.#reader.take(2);
      this.#height -= 3;
      this.#code.emit(...copyBytes);
    } else if (op === 11) {
      this.#reader.take(1);
      this.#height -= 3;
      // pop rcx, rax, rdi; rep stosb
      this.#code.emit(0x59, 0x58, 0x5f, 0xf3, 0xaa);
    } else throw new Error(`no translation of the WebAssembly instruction 0xfc ${op}`);
  }
}

/** memory.copy: forwards, or backwards where the target lies behind the source and overlaps it. */
const copyBytes = [
  ...[0x59, 0x5e, 0x5f], // pop rcx, rsi, rdi
  ...[0x48, 0x39, 0xf7], // cmp rdi, rsi
  ...[0x76, 0x19], // jbe forwards
  ...[0x48, 0x8d, 0x04, 0x0e], // lea rax, [rsi + rcx]
  ...[0x48, 0x39, 0xc7], // cmp rdi, rax
  ...[0x73, 0x10], // jae forwards
  0xfd, // std
  ...[0x48, 0x8d, 0x7c, 0x0f, 0xff], // lea rdi, [rdi + rcx - 1]
  ...[0x48, 0x8d, 0x74, 0x0e, 0xff], // lea rsi, [rsi + rcx - 1]
  ...[0xf3, 0xa4], // rep movsb
  0xfc, // cld
  ...[0xeb, 0x02], // jmp done
  ...[0xf3, 0xa4], // forwards: rep movsb
];
