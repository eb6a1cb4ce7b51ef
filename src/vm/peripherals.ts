/**
 * What is plugged into the machine besides the platform: virtio devices on PCI bus 0, from slot 1 on in the order of this file, and the
 * generation ID.
 *
 * A device's state is in the platform's records under its name; the same configuration gives the same slots.
 */
import {
  Balloon,
  Blk,
  blkRingBytes,
  type DeviceClock,
  GenerationId,
  generationGsi,
  type IoLine,
  type IoRequest,
  Net,
  networkRingBytes,
  networkService,
  type PersistentRegion,
  type Platform,
  type PluggableRegion,
  PluggedMemory,
  Pmem,
  Rng,
  type StreamHub,
  shareLineBytes,
  VirtioConsole,
  type VirtioDevice,
  VirtioFs,
  VirtioPci,
  VirtioVsock,
} from "#devices";
import { type DeviceMemory, remoteOf } from "#memory";
import { cardAddress } from "#net/rules";
import type { MachineConfig } from "./machine-host.ts";

type PeripheralConfig = Pick<
  MachineConfig,
  "rng" | "balloon" | "ports" | "vsock" | "network" | "disks" | "shares" | "memoryBacking"
>;

export interface PeripheralHost {
  readonly memory: DeviceMemory;
  readonly clock: DeviceClock;
  readonly random: (target: Uint8Array) => void;
  readonly notice: (line: string) => void;
  readonly streams: StreamHub | undefined;
  /** Persistent memory. */
  readonly regions: readonly PersistentRegion[];
  /** Memory that comes and goes. */
  readonly pluggable: PluggableRegion | undefined;
  /** A line to a service of the host. Its greeting comes before the guest runs. */
  readonly openLine: (request: IoRequest) => IoLine;
}

/** Whether the configuration has what needs the host's files or networks. */
export function usesIo({ network, disks = [], shares = [], memoryBacking }: PeripheralConfig): boolean {
  return network !== undefined || disks.length > 0 || shares.length > 0 || remoteOf(memoryBacking) !== undefined;
}

/** What of the devices others deal with than their drivers. */
export interface Peripherals {
  readonly balloon: Balloon | undefined;
  readonly disks: readonly Blk[];
  readonly generation: GenerationId;
  readonly net: Net | undefined;
  readonly plugged: PluggedMemory | undefined;
}

/** Requires: the platform is not powered on yet. */
export function plugIn(platform: Platform, config: PeripheralConfig, host: PeripheralHost): Peripherals {
  const devices = devicesOf(config, host);
  for (const [n, [name, device]] of devices.entries()) {
    const transport = new VirtioPci(device, {
      memory: host.memory,
      clock: host.clock,
      msi: (address, data) => platform.msi(address, data),
      notice: host.notice,
    });
    platform.pci.attach(n + 1, 0, transport.function, name);
    for (const [part, stateful] of transport.parts()) platform.register(`${name}.${part}`, stateful);
  }
  const all = devices.map(([, device]) => device);
  return {
    balloon: all.find((device) => device instanceof Balloon),
    disks: all.filter((device) => device instanceof Blk),
    net: all.find((device) => device instanceof Net),
    plugged: all.find((device) => device instanceof PluggedMemory),
    generation: new GenerationId(host.memory, platform.gsi(generationGsi)),
  };
}

function devicesOf(config: PeripheralConfig, host: PeripheralHost): [name: string, device: VirtioDevice][] {
  const { rng, balloon, ports = [], vsock, network, disks = [], shares = [] } = config;
  const devices: [name: string, device: VirtioDevice][] = [];
  if (rng) devices.push(["rng", new Rng(host.random)]);
  if (ports.length > 0 && host.streams) devices.push(["console", new VirtioConsole(ports, host.streams)]);
  if (vsock && host.streams) devices.push(["vsock", new VirtioVsock(host.streams)]);
  if (network) {
    const line = host.openLine({ service: networkService, config: network, ringBytes: networkRingBytes });
    devices.push(["net", new Net(line, cardAddress(network), host.clock)]);
  }
  for (const [n, disk] of disks.entries()) {
    const line = host.openLine({ service: "disk", config: disk, ringBytes: blkRingBytes });
    devices.push([`disk${n}`, new Blk(host.memory, line)]);
  }
  for (const { tag, hostPath, readOnly } of shares) {
    const line = host.openLine({ service: "share", config: { hostPath, readOnly }, ringBytes: shareLineBytes });
    devices.push([`share.${tag}`, new VirtioFs(tag, host.memory, line)]);
  }
  for (const [n, region] of host.regions.entries()) devices.push([`pmem${n}`, new Pmem(region)]);
  if (host.pluggable) devices.push(["mem", new PluggedMemory(host.pluggable)]);
  if (balloon) devices.push(["balloon", new Balloon(host.memory)]);
  return devices;
}
