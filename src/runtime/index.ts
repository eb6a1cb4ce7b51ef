/** The Wasm runtime: what translated code calls when it cannot go on by itself. Compiled by tools/build-runtime.ts. */
export { carry, condition, flags } from "./flags";
export {
  abandon, access, access_exclusive, allot_frame, block_hash, claim_code, code_frame, commit, depend_on_bytes, endLifting as end_lifting, fetch, fetch_code, forget_blocks, forget_code,
  forget_regions, frame_of, give_back, install_frame, interpreter_access, invalidate_frame, learn_pointer, linear_rip, lookup, need_step, note_target, page_miss, park, protect_code,
  raise_alignment, region_refused, register_block,
  raise_target, regain_trust, resolve, resume, seek, stack_fault, stop, take_forgets, tlb_flush, tlb_flush_all, tlb_flush_page, translate, use_thread, use_translations, verify_region,
} from "./memory";
export { lift_end, lift_entry, lift_on } from "./lift";
export { begin_eviction, end_eviction, evict_frames } from "./memory/evict";
export { digest_bytes, digest_memory, digest_page } from "./digest";
export { is_zero, xxh64 } from "./pages";
export { lz4_compress, lz4_decompress } from "./lz4";
export { put_free, take_free } from "./memory/free";
export { age_pages, count_pages, count_zeros, list_aged } from "./memory/ages";
export { harvest_flags, harvest_ring } from "./memory/logs";
export { adopt_blocks } from "./memory/adopt";
export { learn_blocks, learnt_taken, take_learnt } from "./memory/learnt";
export { changing_numbers, keep_numbers } from "./memory/numbers";
export { survey_pages } from "./memory/survey";
export { release_frames, unplug_frames } from "./memory/release";
export { fork_space, leave_space, share_frame } from "./memory/share";
export { quotient, raise_divide, signed_quotient } from "./integer";
export { mulhs64, mulhu64 } from "./wide";
export { mpsadbw, phminposuw } from "./vector";
export {
  raise_simd, sse_f32x4, sse_f32x4_dot, sse_f64x2, sse_f64x2_dot, sse_fp_convert, sse_settle_f32, sse_settle_f32x4, sse_settle_f64, sse_settle_f64x2,
} from "./fp/sse-packed";
export {
  sse_is_product_f32, sse_is_product_f32x4, sse_is_product_f64, sse_is_product_f64x2, sse_is_sum_f32, sse_is_sum_f32x4, sse_is_sum_f64,
  sse_is_sum_f64x2,
} from "./fp/sse-zeros";
export {
  sse_add_f32, sse_add_f64, sse_cmp_f32, sse_cmp_f64, sse_comi_f32, sse_comi_f64, sse_div_f32, sse_div_f64, sse_f32_to_f64, sse_f32_to_i32,
  sse_f32_to_i64, sse_f64_to_f32, sse_f64_to_i32, sse_f64_to_i64, sse_i32_to_f32, sse_i64_to_f32, sse_i64_to_f64, sse_max_f32, sse_max_f64,
  sse_min_f32, sse_min_f64, sse_mul_f32, sse_mul_f64, sse_rcp_f32, sse_round_f32, sse_round_f64, sse_rsqrt_f32, sse_sqrt_f32, sse_sqrt_f64,
  sse_sub_f32, sse_sub_f64,
} from "./fp";
export {
  x87_add_st, x87_div_st, x87_mul_st, x87_op_f32, x87_op_f64, x87_op_int, x87_sqrt, x87_sub_st,
} from "./fp/x87-common-arithmetic";
export {
  x87_exchange, x87_ld_f32, x87_ld_f64, x87_ld_f80, x87_ld_int, x87_ld_st, x87_sign, x87_st_f32, x87_st_f64, x87_st_f80, x87_st_high,
  x87_st_i16, x87_st_i32, x87_st_i64, x87_st_st,
} from "./fp/x87-common-moves";
export {
  x87_comi_st, x87_compare_f32, x87_compare_f64, x87_compare_int, x87_compare_st, x87_raise,
} from "./fp/x87-common-order";
export * from "./helpers";
