export { type Link, type LinkAbilities, maxFrameBytes, noOffload, type Offload } from "./link.ts";
export type { NetClock } from "./clock.ts";
export {
  type AllowRule,
  defaultMac,
  type NetworkOptions,
  type PublishRule,
  parseAllow,
  parsePublish,
  publishText,
} from "./rules.ts";
export {
  type ConnectFailure,
  type HostAddress,
  type HostDatagrams,
  type HostListener,
  type HostSockets,
  type HostStream,
  type HostStreamUser,
  NetworkError,
  type OnDatagram,
} from "./host-sockets.ts";
export { formatIpv4, type Ipv4, parseIpv4, parseMac } from "./address.ts";
export { UserNetwork, userNetwork } from "./user-network.ts";
