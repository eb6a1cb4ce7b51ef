/** The Wasm runtime: what translated code calls when it cannot go on by itself. Compiled by tools/build-runtime.ts. */
export {
  access, block_hash, commit, fetch, forget_blocks, invalidate_frame, lookup, protect_code, register_block, tlb_fill, tlb_flush,
  tlb_flush_all, tlb_flush_page, translate,
} from "./memory";
