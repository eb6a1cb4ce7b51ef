/**
 * Which destinations the guest may reach, and what they are on the host.
 *
 * Laws: nothing reaches the host itself (its loopback, its own addresses) or a link-local address, where clouds keep their
 * secrets, unless a rule names it. The gateway stands for the host's loopback: 10.0.2.2:5432 is 127.0.0.1:5432 there, once that is
 * allowed. What no host may connect to (this network, multicast, reserved, broadcast) cannot be allowed.
 */
import { type Ipv4, type Ipv4Prefix, inPrefix, parsePrefix } from "./address.ts";
import type { HostAddress } from "./host-sockets.ts";
import { type AllowedPrefix, loopback } from "./rules.ts";

const prefix = (text: string): Ipv4Prefix => parsePrefix(text) as Ipv4Prefix;
const never = ["0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4"].map(prefix);
const guarded = ["127.0.0.0/8", "169.254.0.0/16"].map(prefix);

export interface PolicyOptions {
  readonly gateway: Ipv4;
  /** The virtual network's own addresses lead nowhere. */
  readonly subnet: Ipv4Prefix;
  readonly allow: readonly AllowedPrefix[];
  readonly ownAddresses: () => readonly Ipv4[];
}

export class Policy {
  readonly #options: PolicyOptions;

  constructor(options: PolicyOptions) {
    this.#options = options;
  }

  /** Where a destination of the guest's lies; undefined for one that it may not reach. */
  destination(address: Ipv4, port: number): HostAddress | undefined {
    const { gateway, subnet, ownAddresses } = this.#options;
    if (address === gateway) return this.#allowed(loopback, port) ? { address: loopback, port } : undefined;
    if (port === 0 || inPrefix(address, subnet) || never.some((each) => inPrefix(address, each))) return undefined;
    const isGuarded = guarded.some((each) => inPrefix(address, each)) || ownAddresses().includes(address);
    return !isGuarded || this.#allowed(address, port) ? { address, port } : undefined;
  }

  #allowed(address: Ipv4, port: number): boolean {
    return this.#options.allow.some(
      (rule) => inPrefix(address, rule.prefix) && (rule.port === undefined || rule.port === port),
    );
  }
}
