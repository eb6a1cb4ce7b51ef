/** Numbers of virtio 1.2, "Virtio Over PCI Bus", and the places that our devices give their registers. */

export const vendorId = 0x1af4;

/** struct virtio_pci_common_cfg. */
export const commonConfig = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configVector: 0x10,
  status: 0x14,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueVector: 0x1a,
  queueEnable: 0x1c,
  /** Three 64-bit addresses: descriptors, available ring, used ring. */
  queueAddresses: 0x20,
  bytes: 0x38,
} as const;

export const deviceStatus = {
  featuresOk: 8,
  driverOk: 4,
  needsReset: 0x40,
} as const;

export const isrStatus = { queue: 1, config: 2 } as const;

/** VIRTIO_PCI_CAP_*. */
export const capability = { common: 1, notify: 2, isr: 3, device: 4, window: 5 } as const;

/** Offsets in BAR 0, each region a page. */
export const region = {
  common: 0x0000,
  isr: 0x1000,
  device: 0x2000,
  notify: 0x3000,
  msixTable: 0x4000,
  msixPending: 0x5000,
} as const;
export const regionBytes = 0x1000;
