export type { Link, LinkAbilities, Offload } from "./link.ts";
export type { NetClock } from "./clock.ts";
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
export { formatIpv4, type Ipv4, type Mac, parseIpv4, parseMac } from "./address.ts";
export { type RecentConnection, UserNetwork, userNetwork } from "./user-network.ts";
