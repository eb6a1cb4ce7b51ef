/** The namespace: what of the machine a guest cannot find by probing. */
import {
  comPorts,
  ecam,
  generationGsi,
  generationIdAddress,
  pciGsiBase,
  pciWindow,
  pciWindow2,
  pciWindow64,
  pmPorts,
} from "../memory-map.ts";
import { s5SleepType } from "../power/index.ts";
import {
  type Aml,
  and,
  arg,
  concat,
  createDwordField,
  device,
  eisaId,
  equal,
  give,
  ifTrue,
  integer,
  local,
  method,
  name,
  not,
  notify,
  or,
  otherwise,
  pack,
  path,
  scope,
  store,
  string,
  uuid,
} from "./aml.ts";
import {
  busNumbers,
  edgeInterrupt,
  ioPorts,
  ioWindow,
  isaIrq,
  memory32,
  memoryWindow32,
  memoryWindow64,
  resourceTemplate,
} from "./resources.ts";

export interface DsdtOptions {
  readonly cpus: number;
  /** Where the configuration space lies, when not where the memory map says. */
  readonly ecamBase: number;
}

export function dsdtBody(options: DsdtOptions): Aml {
  return concat(
    name("\\_S5", pack(integer(s5SleepType), integer(s5SleepType), integer(0), integer(0))),
    scope(
      "\\_SB",
      ...Array.from({ length: options.cpus }, (_, n) => cpu(n)),
      motherboard(options),
      hostBridge(options),
      realTimeClock(),
      generationId(),
      genericEvents(),
      ...comPorts.map((com, n) => comPort(n, com.port, com.irq)),
    ),
  );
}

/** Its _UID is the one that the MADT gives the processor. */
const cpu = (n: number): Aml =>
  device(
    `C${n.toString(16).toUpperCase().padStart(3, "0")}`,
    name("_HID", string("ACPI0007")),
    name("_UID", integer(n)),
  );

/** Reserves what no other device claims: the configuration space above all, or Linux will not use it. */
const motherboard = ({ ecamBase }: DsdtOptions): Aml =>
  device(
    "MB00",
    name("_HID", eisaId("PNP0C02")),
    name("_UID", integer(0)),
    name(
      "_CRS",
      resourceTemplate(memory32(ecamBase, ecam.size), ioPorts(pmPorts.base, pmPorts.size), ioPorts(0x4d0, 2)),
    ),
  );

const realTimeClock = (): Aml =>
  device("RTC", name("_HID", eisaId("PNP0B00")), name("_CRS", resourceTemplate(ioPorts(0x70, 2), isaIrq(8))));

/** Where the generation ID lies ("Virtual Machine Generation ID", Microsoft, 2012): drivers know the device by its _CID. */
const generationId = (): Aml =>
  device(
    "VGEN",
    name("_HID", string("MVSR0001")),
    name("_CID", string("VM_Gen_Counter")),
    name("_DDN", string("VM_Gen_Counter")),
    name("ADDR", pack(integer(generationIdAddress), integer(0))),
  );

/** The Generic Event Device (ACPI 6.5, "Interrupt-signaled ACPI events"): its only event is a new generation ID. */
const genericEvents = (): Aml =>
  device(
    "GED",
    name("_HID", string("ACPI0013")),
    name("_UID", integer(0)),
    name("_CRS", resourceTemplate(edgeInterrupt(generationGsi))),
    method("_EVT", 1, ifTrue(equal(arg(0), integer(generationGsi)), notify("\\_SB.VGEN", 0x80))),
  );

const comPort = (n: number, port: number, irq: number): Aml =>
  device(
    `COM${n + 1}`,
    name("_HID", eisaId("PNP0501")),
    name("_UID", integer(n + 1)),
    name("_CRS", resourceTemplate(ioPorts(port, 8), isaIrq(irq))),
  );

function hostBridge({ ecamBase }: DsdtOptions): Aml {
  // Where the configuration space lies elsewhere (a test machine), the window before it ends there.
  const firstEnd = Math.min(pciWindow.base + pciWindow.size, ecamBase > pciWindow.base ? ecamBase : Infinity);
  return device(
    "PCI0",
    name("_HID", eisaId("PNP0A08")),
    name("_CID", eisaId("PNP0A03")),
    name("_SEG", integer(0)),
    name("_BBN", integer(0)),
    name("_UID", integer(0)),
    name(
      "_CRS",
      resourceTemplate(
        busNumbers(0, 255),
        ioPorts(0xcf8, 8),
        ioWindow(0x0000, 0x0cf7),
        ioWindow(0x0d00, 0xffff),
        memoryWindow32(pciWindow.base, firstEnd - 1),
        memoryWindow32(pciWindow2.base, pciWindow2.base + pciWindow2.size - 1),
        memoryWindow64(pciWindow64.base, pciWindow64.base + pciWindow64.size - 1),
      ),
    ),
    name("_PRT", interruptRouting()),
    operatingSystemCapabilities(),
  );
}

/** Slot and pin to interrupt: the swizzle of `PciBus`, straight to the IOAPIC. */
function interruptRouting(): Aml {
  const routes: Aml[] = [];
  for (let slot = 0; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const gsi = pciGsiBase + ((slot + pin) & 3);
      routes.push(pack(integer(slot * 0x1_0000 + 0xffff), integer(pin), integer(0), integer(gsi)));
    }
  }
  return pack(...routes);
}

/**
 * _OSC (PCI Firmware 3.3, "_OSC - an ACPI Control Method"): the guest may control everything it asks for of native
 * hot plug, power events, error reporting and the capability structure, there being no firmware that wants them.
 */
function operatingSystemCapabilities(): Aml {
  const granted = 0x1f;
  return method(
    "_OSC",
    4,
    createDwordField(arg(3), 0, "CDW1"),
    ifTrue(
      equal(arg(0), uuid("33db4d5b-1ff7-401c-9657-7441c03dd766")),
      createDwordField(arg(3), 4, "CDW2"),
      createDwordField(arg(3), 8, "CDW3"),
      and(path("CDW3"), integer(granted), local(0)),
      ifTrue(not(equal(arg(1), integer(1))), or(path("CDW1"), integer(8), path("CDW1"))),
      ifTrue(not(equal(path("CDW3"), local(0))), or(path("CDW1"), integer(0x10), path("CDW1"))),
      store(local(0), path("CDW3")),
    ),
    otherwise(or(path("CDW1"), integer(4), path("CDW1"))),
    give(arg(3)),
  );
}
