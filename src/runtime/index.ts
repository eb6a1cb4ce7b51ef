/** The Wasm runtime: what translated code calls when it cannot go on by itself. Compiled by tools/build-runtime.ts. */
export { carry, condition, flags } from "./flags";
export {
  access, access_exclusive, block_hash, commit, fetch, forget_blocks, frame_of, invalidate_frame, linear_rip, lookup, need_step, protect_code, raise_alignment,
  register_block, stop, tlb_fill, tlb_flush, tlb_flush_all, tlb_flush_page, translate,
} from "./memory";
export { digest_bytes, digest_memory } from "./digest";
export { mulhs64, mulhu64 } from "./wide";
export * from "./helpers";
