/** Guest memory as translated code and the other parts of the runtime meet it. */
export { need_step, raise, raise_alignment, raiseNonCanonical, stack_fault, stop } from "./memory/faults";
export { allot_frame, frame_of, frameOf, give_back, install_frame } from "./memory/frames";
export { FETCH, MODIFY, READ, WRITE } from "./memory/walk";
export { fetch, tlb_flush, tlb_flush_all, tlb_flush_page, tlb_switch } from "./memory/tlb";
export {
  block_hash, claim_code, depend_on_bytes, fetch_code, forget_blocks, forget_code, invalidate_frame, linear_rip, lookup, protect_code, register_block, take_forgets,
} from "./memory/blocks";
export { beginExclusive, endExclusive, endLifting, isExclusive, lock, park, parks, resume, severalThreads, unlock, use_thread } from "./memory/exclusive";
export { forgetContext, forgetContexts } from "./memory/generations";
export { use_translations } from "./memory/worker";
export { abandon, access, access_exclusive, accessAs, commit, commitAs, interpreter_access, page_miss, pagePointer, raise_target, readAs, resolve, seek, translate, writeAs } from "./memory/access";
export { learn_pointer, regain_trust } from "./memory/pointers";
export { code_frame, forget_regions, note_target, region_refused, verify_region } from "./memory/regions";
