/** Checks of several images: each is told when it is done, all of them in a table at the end. */
import { table } from "../../bench/table.ts";

/** Gives a figure in words, or throws what was wrong. */
export type Check = () => Promise<string>;

export class CheckTable {
  readonly #images: readonly string[];
  readonly #names: readonly string[];
  readonly #results = new Map<string, string>();
  failed = 0;

  /** `names`: the checks that are wanted. */
  constructor(images: readonly string[], names: readonly string[]) {
    this.#images = images;
    this.#names = names;
  }

  result(image: string, name: string): string | undefined {
    return this.#results.get(`${image}, ${name}`);
  }

  /** Does nothing where the check is not wanted. */
  async attempt(image: string, name: string, check: Check): Promise<void> {
    if (!this.#names.includes(name)) return;
    try {
      this.#note(image, name, await check());
    } catch (error) {
      this.fail(`${image}, ${name}`, error);
      this.#note(image, name, "FAILED");
    }
  }

  fail(what: string, error: unknown): void {
    this.failed++;
    console.error(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }

  print(): void {
    const rows = this.#names.map((name) => [name, ...this.#images.map((image) => this.result(image, name) ?? "-")]);
    console.log(table([["", ...this.#images], ...rows]));
  }

  #note(image: string, name: string, result: string): void {
    this.#results.set(`${image}, ${name}`, result);
    console.error(`${image}, ${name}: ${result}`);
  }
}

/** The checks that a person asks for, in the order they are in; ends the process where one is unknown. */
export function wantedChecks(names: readonly string[], asked: string): readonly string[] {
  const wanted = asked.split(",").map((name) => name.trim());
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown === undefined) return names.filter((name) => wanted.includes(name));
  console.error(`there is no check "${unknown}": ${names.join(", ")}`);
  process.exit(2);
}
