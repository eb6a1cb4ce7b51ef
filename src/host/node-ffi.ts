/** node:ffi, which Node has from 26.1 on; undefined elsewhere, and in a process without permission for foreign functions. */
export function nodeFfi() {
  const { emitWarning } = process;
  // That the module is experimental is no news to who runs a machine.
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule("node:ffi");
  } catch {
    return undefined;
  } finally {
    process.emitWarning = emitWarning;
  }
}
