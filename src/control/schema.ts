/**
 * Commands as data: one description of each, from which every front end makes its parser, its help and its forms.
 *
 * An option's kind says what text it takes and what value that is; `parse` gives the value or says what is wrong.
 */

import type { DiskConfig, DiskFormat } from "#devices";
import { backingWords, parseBacking } from "#memory/backing";
import { parseAllow, parsePublish } from "#net/rules";
import type { PassName, PmemConfig, TraceEvent } from "#vm";
import { checked } from "./network-options.ts";
import { parseShare } from "./shares.ts";
import { VmError, type VmShare } from "./vm-api.ts";

export interface Option<T> {
  /** How a person names what is to be written, such as FILE; undefined for a switch. */
  readonly placeholder?: string;
  readonly help: string;
  /** As it would be typed. */
  readonly byDefault?: string;
  /** A switch that is on until `--no-NAME` turns it off. */
  readonly negated?: true;
  /** May be given more than once. */
  readonly many?: true;
  /** One letter that stands for the name. */
  readonly short?: string;
  /** Throws `VmError` "option", whose message follows the option's name. */
  readonly parse: (text: string) => T;
}

export interface Argument {
  readonly name: string;
  readonly help: string;
  readonly required: boolean;
  /** Takes all words that are left, options of other programs too. */
  readonly rest?: true;
}

export interface CommandSchema<Options extends Record<string, Option<unknown>> = Record<string, Option<unknown>>> {
  /** Words after the program's name. */
  readonly name: string;
  readonly summary: string;
  readonly argument?: Argument;
  /** Behind it. */
  readonly more?: readonly Argument[];
  readonly options: Options;
  /** More for the help, below the options. */
  readonly notes?: string;
}

/** What a parsed command holds, by the option's name. */
export type ValuesOf<C> =
  C extends CommandSchema<infer Options>
    ? { readonly [Name in keyof Options]: Options[Name] extends Option<infer T> ? T | undefined : never }
    : never;

/** Keeps the options' types while checking the whole. */
export function command<const Options extends Record<string, Option<unknown>>>(
  schema: CommandSchema<Options>,
): CommandSchema<Options> {
  return schema;
}

/** A type is all that is asked of the machine here: a command line starts without loading one. */
const traceEvents = Object.keys({
  instructions: true,
  blocks: true,
  exceptions: true,
  interrupts: true,
  io: true,
  msr: true,
} satisfies Record<TraceEvent, true>) as TraceEvent[];

const wrong = (message: string): never => {
  throw new VmError("option", message);
};

export const text = (placeholder: string, help: string): Option<string> => ({
  placeholder,
  help,
  parse: (value) => value,
});

export const flag = (help: string): Option<boolean> => ({ help, parse: () => true });

/** On by default; `--no-NAME` gives false. */
export const negatedFlag = (help: string): Option<boolean> => ({ help, negated: true, parse: () => false });

/** Given once or more, or as one list with commas. */
export const list = (placeholder: string, help: string): Option<readonly string[]> => ({
  placeholder,
  help,
  many: true,
  parse: (value) => value.split(",").filter((each) => each !== ""),
});

export function choice<const Names extends readonly string[]>(names: Names, help: string): Option<Names[number]> {
  return {
    placeholder: names.join("|"),
    help,
    byDefault: names[0] as string,
    parse: (value) => names.find((name) => name === value) ?? wrong(`"${value}" is none of ${names.join(", ")}`),
  };
}

/** A whole number from `least` on. */
export const count = (placeholder: string, least: number, help: string): Option<number> => ({
  placeholder,
  help,
  parse(value) {
    const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
    return number >= least && Number.isSafeInteger(number)
      ? number
      : wrong(`"${value}" is no whole number of at least ${least}`);
  },
});

/** A time in seconds, fractions allowed; the value is milliseconds. */
export const seconds = (help: string): Option<number> => ({
  placeholder: "S",
  help,
  parse(value) {
    const number = /^\d{1,8}(\.\d{1,6})?$/.test(value) ? Number(value) * 1000 : 0;
    // A timer of the host takes at most 2^31 - 1 ms.
    return number > 0 && number < 2 ** 31 ? number : wrong(`"${value}" is no time in seconds between 0 and 2000000`);
  },
});

const mib = 2 ** 20;
const units: Readonly<Record<string, number>> = { "": mib, K: 2 ** 10, M: mib, G: 2 ** 30 };

/** A size as 512M or 2G; a bare number is MiB. The value is bytes, whole MiB. */
export const size = (byDefault: string, least: number, most: number, help: string): Option<number> => ({
  placeholder: "SIZE",
  help,
  byDefault,
  parse(value) {
    const match = /^(\d{1,9})([KMG]?)(i?B)?$/i.exec(value);
    if (!match) return wrong(`"${value}" is no size: write it as 512M or 2G`);
    const bytes = Number(match[1]) * (units[(match[2] ?? "").toUpperCase()] as number);
    if (bytes % mib !== 0) return wrong(`"${value}" is no whole number of MiB`);
    if (bytes < least || bytes > most) return wrong(`"${value}" is not between ${least / mib}M and ${most / mib}M`);
    return bytes;
  },
});

/** A size, or `none`, which is no bytes. */
export const sizeOrNone = (least: number, most: number, help: string): Option<number> => {
  const { parse } = size("", least, most, help);
  return { placeholder: "SIZE|none", help, parse: (value) => (value === "none" ? 0 : parse(value)) };
};

/** Some of these names, separated by commas. */
const names = <Name extends string>(
  placeholder: string,
  all: readonly Name[],
  help: string,
): Option<readonly Name[]> => ({
  placeholder,
  help: `${help}: ${all.join(", ")}`,
  many: true,
  parse: (value) =>
    value
      .split(",")
      .map((name) => all.find((each) => each === name) ?? wrong(`"${name}" is none of ${all.join(", ")}`)),
});

export const traceList = (help: string): Option<readonly TraceEvent[]> => names("EVENTS", traceEvents, help);

const passes = Object.keys({
  "dead-flags": true,
  "cross-page": true,
  calls: true,
  indirect: true,
  "vector-locals": true,
  "reuse-translations": true,
  "known-pages": true,
  "same-page": true,
  "followed-pointers": true,
  "one-vcpu": true,
  "float-knowledge": true,
  "live-numbers": true,
  learnt: true,
  "branch-hints": true,
} satisfies Record<PassName, true>) as PassName[];

export const passList = (help: string): Option<readonly PassName[]> => names("PASSES", passes, help);

/** Ports to publish, as text that is known to be good. */
export const publishList = (help: string): Option<readonly string[]> => ({
  placeholder: "[ADDRESS:]PORT:GUESTPORT[/udp]",
  help,
  many: true,
  short: "p",
  parse: (value) => {
    checked(() => parsePublish(value));
    return [value];
  },
});

/** Destinations to allow, as text that is known to be good. */
export const allowList = (help: string): Option<readonly string[]> => ({
  placeholder: "HOST:PORT",
  help,
  many: true,
  parse: (value) => {
    checked(() => parseAllow(value));
    return [value];
  },
});

/** Directories to share. */
/** Stays a text: options of machines are. */
export const backing = (help: string): Option<string> => ({
  placeholder: "KIND",
  help,
  parse: (value) => (parseBacking(value) ? value : wrong(`"${value}" is no memory backing: ${backingWords}`)),
});

export const shareList = (help: string): Option<readonly VmShare[]> => ({
  placeholder: "DIR:PATH[:ro]",
  help,
  many: true,
  parse: (value) => [parseShare(value) ?? wrong(`"${value}" is no share: write it as DIR:/mnt or DIR:/mnt:ro`)],
});

/** A 64-bit address, in hexadecimal with 0x or decimal. */
export const address = (help: string): Option<bigint> => ({
  placeholder: "ADDRESS",
  help,
  parse(value) {
    const valid = /^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(value);
    return valid && BigInt(value) < 1n << 64n
      ? BigInt(value)
      : wrong(`"${value}" is no address: write it as 0xffffffff81000000`);
  },
});

/** FILE and, behind commas, how it is used. */
export const pmemList = (help: string): Option<readonly PmemConfig[]> => ({
  placeholder: "FILE[,size=SIZE][,ro]",
  help,
  many: true,
  parse: (value) => {
    const { file, uses } = takeUses(value, pmemUse);
    return file === "" ? wrong("the name of the file is missing") : [{ file, ...uses }];
  },
});

function pmemUse(word: string): Omit<PmemConfig, "file"> | undefined {
  if (word === "ro") return { readOnly: true };
  return word.startsWith("size=") ? { sizeBytes: pmemSize.parse(word.slice(5)) } : undefined;
}

const pmemSize = size("", 2 * mib, 4096 * mib, "");

const diskFormats = Object.keys({ raw: true, qcow2: true } satisfies Record<DiskFormat, true>) as DiskFormat[];

/** FILE and, behind commas, how it is used. A name may hold commas: only what is known as a use is taken for one. */
export const diskList = (help: string): Option<readonly DiskConfig[]> => ({
  placeholder: "FILE[,ro][,overlay[=FILE]][,format=raw|qcow2]",
  help,
  many: true,
  parse(value) {
    const { file, uses } = takeUses(value, diskUse);
    return file === "" ? wrong("the name of a disk's file is missing") : [{ file, ...uses }];
  },
});

/** The words at the end that say how a file is used, and what stands before them. */
function takeUses<Uses extends object>(
  value: string,
  useOf: (word: string) => Partial<Uses> | undefined,
): { readonly file: string; readonly uses: Partial<Uses> } {
  const words = value.split(",");
  let uses: Partial<Uses> = {};
  while (words.length > 1) {
    const use = useOf(words.at(-1) as string);
    if (use === undefined) break;
    uses = { ...use, ...uses };
    words.pop();
  }
  return { file: words.join(","), uses };
}

function diskUse(word: string): Omit<DiskConfig, "file"> | undefined {
  if (word === "ro") return { readOnly: true };
  if (word === "overlay") return { overlay: true };
  const [name, ...rest] = word.split("=");
  const value = rest.join("=");
  if (name === "overlay" && value !== "") return { overlay: value };
  if (name !== "format") return undefined;
  const format = diskFormats.find((each) => each === value);
  return format ? { format } : wrong(`"${value}" is no disk format: use ${diskFormats.join(" or ")}`);
}
