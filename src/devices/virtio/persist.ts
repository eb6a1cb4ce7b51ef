/** The records of a virtio transport and of a virtqueue. A device's own is its own. */

/** Of the vector fields: none. */
export const VIRTIO_MSI_NO_VECTOR = 0xffff;

export type TransportState = {
  deviceFeatureSelect: number;
  driverFeatureSelect: number;
  /** As far as the driver has written them. */
  driverFeatures: bigint;
  status: number;
  configVector: number;
  configGeneration: number;
  queueSelect: number;
  /** Interrupt status: 1 a queue, 2 the configuration. */
  isr: number;
};

export const newTransportState = (): TransportState => ({
  deviceFeatureSelect: 0,
  driverFeatureSelect: 0,
  driverFeatures: 0n,
  status: 0,
  configVector: VIRTIO_MSI_NO_VECTOR,
  configGeneration: 0,
  queueSelect: 0,
  isr: 0,
});

export type QueueState = {
  size: number;
  enabled: number;
  vector: number;
  descriptorsLow: number;
  descriptorsHigh: number;
  availableLow: number;
  availableHigh: number;
  usedLow: number;
  usedHigh: number;
  /** Indexes that only grow, 16 bits: into the available ring, the used ring, and of the last used entry that was told of. */
  nextAvailable: number;
  nextUsed: number;
  signalledUsed: number;
  /** A bit for each head that the device has and the driver has not got back. */
  inFlight: Uint8Array;
};

export const newQueueState = (maxSize: number): QueueState => ({
  size: maxSize,
  enabled: 0,
  vector: VIRTIO_MSI_NO_VECTOR,
  descriptorsLow: 0,
  descriptorsHigh: 0,
  availableLow: 0,
  availableHigh: 0,
  usedLow: 0,
  usedHigh: 0,
  nextAvailable: 0,
  nextUsed: 0,
  signalledUsed: 0,
  inFlight: new Uint8Array(Math.ceil(maxSize / 8)),
});
