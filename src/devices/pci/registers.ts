/** Configuration space as PCI Local Bus 3.0, "Configuration Space Organization", lays it out (header type 0). */
export const pci = {
  vendor: 0x00,
  device: 0x02,
  command: 0x04,
  status: 0x06,
  revision: 0x08,
  classCode: 0x09,
  headerType: 0x0e,
  bar0: 0x10,
  subsystemVendor: 0x2c,
  subsystem: 0x2e,
  capabilities: 0x34,
  interruptLine: 0x3c,
  interruptPin: 0x3d,
  firstCapability: 0x40,
} as const;

export const pciCommand = { io: 1, memory: 2, busMaster: 4, intxDisable: 0x400 } as const;
export const pciStatus = { interrupt: 0x08, capabilities: 0x10 } as const;

export const configBytes = 256;
export const barCount = 6;
