export { centuryRegister, Rtc, rtcPorts } from "./device.ts";
