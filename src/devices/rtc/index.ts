export { centuryRegister, Rtc, rtcPorts } from "./device.ts";
export type { RtcState } from "./persist.ts";
