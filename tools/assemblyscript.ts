/** AssemblyScript's compiler, as a function. */
interface Output {
  write(chunk: string | Uint8Array): boolean;
}
type Compile = (args: string[], api: { stdout: Output; stderr: Output }) => Promise<{ error: Error | null }>;

/** Compiles the module that begins with `source`, whose folder the message names where it cannot be. */
export async function compileAssemblyScript(
  source: string,
  target: string,
  root: string,
  options: readonly string[],
): Promise<void> {
  // Named at run time: the compiler's own types would declare AssemblyScript's globals for all of our files.
  const compiler = "assemblyscript/asc";
  const { main } = (await import(compiler)) as { main: Compile };
  const messages: string[] = [];
  const say = { write: (chunk: string | Uint8Array) => messages.push(String(chunk)) > 0 };
  const { error } = await main([source, "--baseDir", root, "-o", target, ...options], { stdout: say, stderr: say });
  if (error) throw new Error(`${source} does not compile:\n${messages.join("")}`, { cause: error });
}
