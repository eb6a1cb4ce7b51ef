/** The command line's parser, made from the commands' schemas: names, help and checks are theirs. */
import { Argument, type Command, Option as CommanderOption, InvalidArgumentError } from "commander";
import { type CommandSchema, type Option, type ValuesOf, VmError } from "#control";

/** Runs a parsed command; the process ends with the status it gives. */
export type Action<C> = (argument: string | undefined, values: ValuesOf<C>) => Promise<number>;

/** Adds the command that `schema` describes below `parent`. */
export function addCommand<Options extends Record<string, Option<unknown>>>(
  parent: Command,
  schema: CommandSchema<Options>,
  action: Action<CommandSchema<Options>>,
): Command {
  const command = parent.command(schema.name).summary(schema.summary).description(sentence(schema.summary));
  const { argument, notes } = schema;
  if (argument) {
    const shape = argument.required ? `<${argument.name}>` : `[${argument.name}]`;
    command.addArgument(new Argument(shape, argument.help));
  }
  for (const [name, option] of Object.entries(schema.options)) command.addOption(optionFor(name, option));
  if (notes) command.addHelpText("after", `\n${notes}`);
  command.action(async (...parsed: unknown[]) => {
    // Commander passes the argument, if the command has one, then the values, then the command.
    const given = argument ? (parsed[0] as string | undefined) : undefined;
    process.exitCode = await action(given, parsed[argument ? 1 : 0] as ValuesOf<CommandSchema<Options>>);
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
