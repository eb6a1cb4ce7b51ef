/**
 * Instructions of processors beyond x86-64-v2 that stock kernels and libraries contain behind feature checks. They are
 * measured and named, so that code listings stay in step and a #UD can be reported by name, but this machine does not
 * have them. VEX and EVEX forms are not here.
 */
import { group, only64, type RowSource, row, size } from "./define.ts";

const crypto = [
  ...group("aes", [
    row("66 0F 38 DB", "aesimc Vo Wo"),
    row("66 0F 38 DC", "aesenc Vo Wo"),
    row("66 0F 38 DD", "aesenclast Vo Wo"),
    row("66 0F 38 DE", "aesdec Vo Wo"),
    row("66 0F 38 DF", "aesdeclast Vo Wo"),
    row("66 0F 3A DF", "aeskeygenassist Vo Wo Ib"),
  ]),
  ...group("pclmulqdq", [row("66 0F 3A 44", "pclmulqdq Vo Wo Ib")]),
  ...group("sha_ni", [
    row("NP 0F 38 C8", "sha1nexte Vo Wo"),
    row("NP 0F 38 C9", "sha1msg1 Vo Wo"),
    row("NP 0F 38 CA", "sha1msg2 Vo Wo"),
    row("NP 0F 38 CB", "sha256rnds2 Vo Wo XMM0"),
    row("NP 0F 38 CC", "sha256msg1 Vo Wo"),
    row("NP 0F 38 CD", "sha256msg2 Vo Wo"),
    row("NP 0F 3A CC", "sha1rnds4 Vo Wo Ib"),
  ]),
  ...group("gfni", [
    row("66 0F 38 CF", "gf2p8mulb Vo Wo"),
    row("66 0F 3A CE", "gf2p8affineqb Vo Wo Ib"),
    row("66 0F 3A CF", "gf2p8affineinvqb Vo Wo Ib"),
  ]),
];

const integers = [
  ...group("adx", [row("66 0F 38 F6", "adcx Gy Ey"), row("F3 0F 38 F6", "adox Gy Ey")]),
  ...group("movbe", [
    row("NP 0F 38 F0", "movbe Gv Mv"),
    row("NP 0F 38 F1", "movbe Mv Gv"),
    // Here 66 is the operand size.
    row("66 0F 38 F0", "movbe Gw Mw"),
    row("66 0F 38 F1", "movbe Mw Gw"),
  ]),
  ...group("movdiri", [row("NP 0F 38 F9", "movdiri My Gy"), row("66 0F 38 F8", "movdir64b Ga M")]),
  ...group("enqcmd", [row("F2 0F 38 F8", "enqcmd Ga M"), row("F3 0F 38 F8", "enqcmds Ga M")]),
  ...group("rdpid", [row("F3 0F C7 /7 reg", "rdpid Ra")]),
  ...group("ptwrite", [row("F3 0F AE /4", "ptwrite Ey")]),
];

const caches = [
  ...group("clflushopt", [row("66 0F AE /7 mem", "clflushopt Mb")]),
  ...group("clwb", [row("66 0F AE /6 mem", "clwb Mb")]),
  ...group("clzero", [row("0F 01 FC", "clzero")]),
];

const states = [
  ...group("xsaveopt", [row("NP 0F AE /6 mem", "xsaveopt M", size("y"))]),
  ...group("xsavec", [row("NP 0F C7 /4 mem", "xsavec M", size("y"))]),
  ...group("xsaves", [row("NP 0F C7 /5 mem", "xsaves M", size("y")), row("NP 0F C7 /3 mem", "xrstors M", size("y"))]),
  ...group("pku", [row("NP 0F 01 EE", "rdpkru"), row("NP 0F 01 EF", "wrpkru")]),
];

const waits = [
  ...group("waitpkg", [
    row("F3 0F AE /6 reg", "umonitor Ra"),
    row("F2 0F AE /6 reg", "umwait Rd"),
    row("66 0F AE /6 reg", "tpause Rd"),
  ]),
  ...group("mwaitx", [row("0F 01 FA", "monitorx"), row("0F 01 FB", "mwaitx")]),
  ...group("serialize", [row("NP 0F 01 E8", "serialize")]),
  ...group("rdpru", [row("0F 01 FD", "rdpru")]),
];

const transactions = group("rtm", [
  row("C6 F8", "xabort Ib"),
  row("C7 F8", "xbegin Jz"),
  row("NP 0F 01 D5", "xend"),
  row("NP 0F 01 D6", "xtest"),
]);

const shadowStacks = group("shstk", [
  row("F3 0F AE /5 reg", "incssp Ry"),
  row("F3 0F AE /6 mem", "clrssbsy Mq"),
  row("F3 0F 01 /5 mem", "rstorssp Mq"),
  row("F3 0F 01 EA", "saveprevssp"),
  row("F3 0F 01 E8", "setssbsy"),
  row("NP 0F 38 F6", "wrss My Gy"),
  row("66 0F 38 F5", "wruss My Gy"),
]);

const virtualisation = [
  ...group("vmx", [
    row("NP 0F 78", "vmread Ea Ga"),
    row("NP 0F 79", "vmwrite Ga Ea"),
    row("NP 0F 01 C2", "vmlaunch"),
    row("NP 0F 01 C3", "vmresume"),
    row("NP 0F 01 C4", "vmxoff"),
    row("NP 0F 01 D4", "vmfunc"),
    row("NP 0F C7 /6 mem", "vmptrld Mq"),
    row("66 0F C7 /6 mem", "vmclear Mq"),
    row("F3 0F C7 /6 mem", "vmxon Mq"),
    row("NP 0F C7 /7 mem", "vmptrst Mq"),
    row("66 0F 38 80", "invept Ga Mo"),
    row("66 0F 38 81", "invvpid Ga Mo"),
  ]),
  ...group("svm", [
    row("0F 01 D8", "vmrun"),
    row("0F 01 DA", "vmload"),
    row("0F 01 DB", "vmsave"),
    row("0F 01 DC", "stgi"),
    row("0F 01 DD", "clgi"),
    row("0F 01 DE", "skinit"),
    row("0F 01 DF", "invlpga"),
    row("F3 0F 01 D9", "vmgexit"),
    row("F2 0F 01 D9", "vmgexit"),
  ]),
  ...group("sev", [
    row("NP 0F 01 FE", "invlpgb"),
    row("NP 0F 01 FF", "tlbsync"),
    row("F2 0F 01 FE", "rmpupdate"),
    row("F2 0F 01 FF", "pvalidate"),
    row("F3 0F 01 FE", "rmpadjust"),
    row("F3 0F 01 FF", "psmash"),
  ]),
  ...group("tdx", [row("66 0F 01 CC", "tdcall"), row("66 0F 01 CF", "seamcall")]),
  ...group("sgx", [row("NP 0F 01 CF", "encls"), row("NP 0F 01 D7", "enclu"), row("NP 0F 01 C0", "enclv")]),
  ...group("smx", [row("NP 0F 37", "getsec")]),
  ...group("pconfig", [row("NP 0F 01 C5", "pconfig")]),
];

/** AMD's SSE4a. */
const sse4a = group("sse4a", [
  row("F3 0F 2B", "movntss Md Vd"),
  row("F2 0F 2B", "movntsd Mq Vq"),
  row("66 0F 79", "extrq Vo Uo"),
  row("F2 0F 79", "insertq Vo Uo"),
]);

const uinterrupts = group("uintr", [
  row("F3 0F 01 EC", "uiret", only64),
  row("F3 0F 01 ED", "testui", only64),
  row("F3 0F 01 EE", "clui", only64),
  row("F3 0F 01 EF", "stui", only64),
  row("F3 0F C7 /6 reg", "senduipi Ra", only64),
]);

/** AMD's 3DNow! had FEMMS beside PREFETCH, which every 64-bit processor keeps. The 80287 left its mode by FRSTPM. */
const gone = [...group("3dnow", [row("0F 0E", "femms")]), ...group("287", [row("DB E5", "frstpm")])];

export const absent: RowSource[] = [
  ...crypto,
  ...integers,
  ...caches,
  ...states,
  ...waits,
  ...transactions,
  ...shadowStacks,
  ...virtualisation,
  ...sse4a,
  ...uinterrupts,
  ...gone,
].map((source) => ({ ...source, absent: true }));
