/** What a relay's clients may reach: as a guest's world, without a virtual network; or, where there is such a list, that alone. */
import { type Ipv4, inPrefix, ipv4 } from "../address.ts";
import type { HostAddress } from "../host-sockets.ts";
import { Policy } from "../policy.ts";
import type { AllowedPrefix } from "../rules.ts";

const nowhere = ipv4(0);

export function relayPolicy(
  allow: readonly AllowedPrefix[],
  only: readonly AllowedPrefix[] | undefined,
  ownAddresses: () => readonly Ipv4[],
): (address: Ipv4, port: number) => HostAddress | undefined {
  // What is all that may be reached may be reached.
  const named = [...allow, ...(only ?? [])];
  const policy = new Policy({ gateway: nowhere, subnet: { base: nowhere, bits: 32 }, allow: named, ownAddresses });
  const inList = (address: Ipv4, port: number): boolean =>
    only === undefined ||
    named.some((rule) => inPrefix(address, rule.prefix) && (rule.port === undefined || rule.port === port));
  return (address, port) =>
    address !== nowhere && inList(address, port) ? policy.destination(address, port) : undefined;
}
