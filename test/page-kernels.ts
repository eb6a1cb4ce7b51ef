/** Work on pages as the runtime does it, without a machine. */
import { ArenaKernels } from "#memory";
import { guest } from "./guest-code.ts";

export function pageKernels(): ArenaKernels {
  const { vcpu, engine } = guest(Uint8Array.of(0xf4));
  return new ArenaKernels(vcpu.arena, engine.runtime);
}
