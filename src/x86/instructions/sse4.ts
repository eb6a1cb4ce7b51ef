/** SSSE3's last, SSE4.1 and SSE4.2. (CRC32 and POPCNT work on general registers and are in integer.ts.) */
import { aligned, arithmetic as allStatusFlags, group, type RowSource, row } from "./define.ts";

const sse41 = group("sse4_1", [
  row("66 0F 38 10", "pblendvb Vo Wo XMM0"),
  row("66 0F 38 14", "blendvps Vo Wo XMM0"),
  row("66 0F 38 15", "blendvpd Vo Wo XMM0"),
  row("66 0F 38 17", "ptest Vo Wo", allStatusFlags),
  row("66 0F 38 20", "pmovsxbw Vo Wq"),
  row("66 0F 38 21", "pmovsxbd Vo Wd"),
  row("66 0F 38 22", "pmovsxbq Vo Ww"),
  row("66 0F 38 23", "pmovsxwd Vo Wq"),
  row("66 0F 38 24", "pmovsxwq Vo Wd"),
  row("66 0F 38 25", "pmovsxdq Vo Wq"),
  row("66 0F 38 28", "pmuldq Vo Wo"),
  row("66 0F 38 29", "pcmpeqq Vo Wo"),
  row("66 0F 38 2A", "movntdqa Vo Mo"),
  row("66 0F 38 2B", "packusdw Vo Wo"),
  row("66 0F 38 30", "pmovzxbw Vo Wq"),
  row("66 0F 38 31", "pmovzxbd Vo Wd"),
  row("66 0F 38 32", "pmovzxbq Vo Ww"),
  row("66 0F 38 33", "pmovzxwd Vo Wq"),
  row("66 0F 38 34", "pmovzxwq Vo Wd"),
  row("66 0F 38 35", "pmovzxdq Vo Wq"),
  row("66 0F 38 38", "pminsb Vo Wo"),
  row("66 0F 38 39", "pminsd Vo Wo"),
  row("66 0F 38 3A", "pminuw Vo Wo"),
  row("66 0F 38 3B", "pminud Vo Wo"),
  row("66 0F 38 3C", "pmaxsb Vo Wo"),
  row("66 0F 38 3D", "pmaxsd Vo Wo"),
  row("66 0F 38 3E", "pmaxuw Vo Wo"),
  row("66 0F 38 3F", "pmaxud Vo Wo"),
  row("66 0F 38 40", "pmulld Vo Wo"),
  row("66 0F 38 41", "phminposuw Vo Wo"),
  row("66 0F 3A 08", "roundps Vo Wo Ib"),
  row("66 0F 3A 09", "roundpd Vo Wo Ib"),
  row("66 0F 3A 0A", "roundss Vd Wd Ib"),
  row("66 0F 3A 0B", "roundsd Vq Wq Ib"),
  row("66 0F 3A 0C", "blendps Vo Wo Ib"),
  row("66 0F 3A 0D", "blendpd Vo Wo Ib"),
  row("66 0F 3A 0E", "pblendw Vo Wo Ib"),
  row("66 0F 3A 14", "pextrb RdMb Vo Ib"),
  row("66 0F 3A 15", "pextrw RdMw Vo Ib"),
  // PEXTRD, PEXTRQ; PINSRD, PINSRQ: by REX.W.
  row("66 0F 3A 16", "pextrd Ey Vo Ib"),
  row("66 0F 3A 17", "extractps Ed Vo Ib"),
  row("66 0F 3A 20", "pinsrb Vo RdMb Ib"),
  row("66 0F 3A 21", "insertps Vo Wd Ib"),
  row("66 0F 3A 22", "pinsrd Vo Ey Ib"),
  row("66 0F 3A 40", "dpps Vo Wo Ib"),
  row("66 0F 3A 41", "dppd Vo Wo Ib"),
  row("66 0F 3A 42", "mpsadbw Vo Wo Ib"),
]);

/** The string comparisons read their 16 bytes anywhere; they use EAX, EDX, ECX and XMM0 besides what is written. */
const strings = (
  [
    ["60", "pcmpestrm"],
    ["61", "pcmpestri"],
    ["62", "pcmpistrm"],
    ["63", "pcmpistri"],
  ] as const
).map(([code, name]) => row(`66 0F 3A ${code}`, `${name} Vo Wo Ib`, aligned(1), allStatusFlags));

const sse42 = group("sse4_2", [row("66 0F 38 37", "pcmpgtq Vo Wo"), ...strings]);

export const sse4: RowSource[] = [row("66 0F 3A 0F", "palignr Vo Wo Ib", { feature: "ssse3" }), ...sse41, ...sse42];
