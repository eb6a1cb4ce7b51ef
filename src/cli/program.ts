/** The command line's parser, made from the commands' schemas: names, help and checks are theirs. */
import { Argument, type Command, Option as CommanderOption, InvalidArgumentError } from "commander";
import { type CommandSchema, type Option, type ValuesOf, VmError } from "#control";

/** Runs a parsed command; the process ends with the status it gives. */
export type Action<C> = (argument: string | undefined, values: ValuesOf<C>, more: readonly string[]) => Promise<number>;

/** Adds the command that `schema` describes below `parent`. */
export function addCommand<Options extends Record<string, Option<unknown>>>(
  parent: Command,
  schema: CommandSchema<Options>,
  action: Action<CommandSchema<Options>>,
): Command {
  const command = parent.command(schema.name).summary(schema.summary).description(sentence(schema.summary));
  const words = [...(schema.argument ? [schema.argument] : []), ...(schema.more ?? [])];
  for (const { name, help, required, rest } of words) {
    const dots = rest ? "..." : "";
    command.addArgument(new Argument(required ? `<${name}${dots}>` : `[${name}${dots}]`, help));
    if (rest) command.passThroughOptions();
  }
  for (const [name, option] of Object.entries(schema.options)) command.addOption(optionFor(name, option));
  if (schema.notes) command.addHelpText("after", `\n${schema.notes}`);
  command.action(async (...parsed: unknown[]) => {
    // Commander passes the arguments, then the values, then the command.
    const given = parsed.slice(0, words.length).flat() as (string | undefined)[];
    const [argument, ...more] = schema.argument ? given : [undefined, ...given];
    const values = parsed[words.length] as ValuesOf<CommandSchema<Options>>;
    const present = more.filter((each) => each !== undefined);
    process.exitCode = await action(argument, values, present);
  });
  return command;
}

function optionFor(name: string, option: Option<unknown>): CommanderOption {
  const long = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const short = option.short === undefined ? "" : `-${option.short}, `;
  const flags = option.negated
    ? `--no-${long}`
    : option.placeholder
      ? `${short}--${long} <${option.placeholder}>`
      : `${short}--${long}`;
  const help = option.byDefault === undefined ? option.help : `${option.help} (default: ${option.byDefault})`;
  const made = new CommanderOption(flags, help);
  if (option.placeholder) made.argParser((text, previous) => parseOne(option, text, previous));
  return made;
}

function parseOne(option: Option<unknown>, text: string, previous: unknown): unknown {
  try {
    const value = option.parse(text);
    return option.many && Array.isArray(previous) && Array.isArray(value) ? [...previous, ...value] : value;
  } catch (error) {
    if (error instanceof VmError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
