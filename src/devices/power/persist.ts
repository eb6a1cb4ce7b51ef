/** The record of the ACPI power-management block and the reset register. */

export type PowerState = {
  /** PM1 event: status and enable. */
  status: number;
  enable: number;
  /** PM1 control, without the momentary bits. */
  control: number;
  resetControl: number;
  /** The timer's top bit when it was last looked at. */
  timerTop: number;
};

export const newPowerState = (): PowerState => ({ status: 0, enable: 0, control: 0, resetControl: 0, timerTop: 0 });
