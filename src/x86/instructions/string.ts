/**
 * String instructions. REP (F3; for CMPS and SCAS: while equal) and REPNE (F2) repeat them rCX times.
 * INS and OUTS check the I/O permission like IN and OUT.
 */
import { DF, STATUS_FLAGS } from "../flags.ts";
import { type RowDetails, type RowSource, reads, row } from "./define.ts";

const compares: RowDetails = { flagsRead: DF, flagsWritten: STATUS_FLAGS, flagsDepend: "rep" };

export const string: RowSource[] = [
  row("A4", "movs Yb Xb", reads(DF)),
  row("A5", "movs Yv Xv", reads(DF)),
  row("A6", "cmps Xb Yb", compares),
  row("A7", "cmps Xv Yv", compares),
  row("AA", "stos Yb AL", reads(DF)),
  row("AB", "stos Yv rAX", reads(DF)),
  row("AC", "lods AL Xb", reads(DF)),
  row("AD", "lods rAX Xv", reads(DF)),
  row("AE", "scas AL Yb", compares),
  row("AF", "scas rAX Yv", compares),
  row("6C", "ins Yb DX", reads(DF)),
  row("6D", "ins Yz DX", reads(DF)),
  row("6E", "outs DX Xb", reads(DF)),
  row("6F", "outs DX Xz", reads(DF)),
];
