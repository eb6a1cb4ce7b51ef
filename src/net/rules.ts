/** What a person says about the network: ports to publish, destinations to allow. Text in, plain data out. */
import { type Ipv4, type Ipv4Prefix, ipv4, type Mac, parseIpv4, parseMac, parsePrefix } from "./address.ts";
import { NetworkError } from "./host-sockets.ts";

export { NetworkError };

/** A port of the host that leads to one of the guest's. */
export interface PublishRule {
  readonly protocol: "tcp" | "udp";
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guestPort: number;
}

/** What the guest may reach although it is guarded: `host` is an address, a prefix, `localhost` or a name. */
export interface AllowRule {
  readonly host: string;
  /** None: every port. */
  readonly port?: number;
}

/** All of a machine's network that a person chooses. */
export interface NetworkOptions {
  readonly publish?: readonly PublishRule[];
  readonly allow?: readonly AllowRule[];
  /** Of the guest's card. */
  readonly mac?: string;
  /** Whose sockets are used, as `ws://127.0.0.1:8765/#TOKEN`; without one, this host's own. */
  readonly relay?: string;
}

export const loopback: Ipv4 = ipv4(0x7f00_0001);
const defaultMac = "52:54:00:12:34:56";

/** The address of the guest's card. Throws `NetworkError`. */
export function cardAddress({ mac = defaultMac }: NetworkOptions): Mac {
  const address = parseMac(mac);
  if (address === undefined) {
    throw new NetworkError(`"${mac}" is no address of a network card: write it as ${defaultMac}`);
  }
  return address;
}

const port = (text: string): number | undefined => {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= 65535 ? value : undefined;
};

/** `[ADDRESS:]HOSTPORT:GUESTPORT[/udp]`; without an address only the host itself gets there. Throws `NetworkError`. */
export function parsePublish(text: string): PublishRule {
  const match = /^(?:([^:/]+):)?(\d+):(\d+)(?:\/(tcp|udp))?$/.exec(text);
  const hostPort = port(match?.[2] ?? "");
  const guestPort = port(match?.[3] ?? "");
  if (match === null || hostPort === undefined || guestPort === undefined) {
    throw new NetworkError(`"${text}" publishes no port: write it as 8080:80, 0.0.0.0:8080:80 or 5353:53/udp`);
  }
  const hostAddress = match[1] === undefined || match[1] === "localhost" ? "127.0.0.1" : match[1];
  if (parseIpv4(hostAddress) === undefined) {
    throw new NetworkError(`"${hostAddress}" in "${text}" is no IPv4 address of this host: 127.0.0.1 or 0.0.0.0, say`);
  }
  return { protocol: match[4] === "udp" ? "udp" : "tcp", hostAddress, hostPort, guestPort };
}

export const publishText = ({ protocol, hostAddress, hostPort, guestPort }: PublishRule): string =>
  `${hostAddress}:${hostPort}:${guestPort}${protocol === "udp" ? "/udp" : ""}`;

/** `HOST:PORT` or `HOST:*`. Throws `NetworkError`. */
export function parseAllow(text: string): AllowRule {
  const match = /^([A-Za-z0-9._-]+(?:\/\d{1,2})?):(\d+|\*)$/.exec(text);
  const number = match?.[2] === "*" ? undefined : port(match?.[2] ?? "");
  const host = match?.[1];
  // What looks like an address or a prefix has to be one.
  const wrongAddress = host !== undefined && /^[\d.]+(\/|$)|\//.test(host) && parsePrefix(host) === undefined;
  if (host === undefined || wrongAddress || (number === undefined && match?.[2] !== "*")) {
    throw new NetworkError(`"${text}" allows nothing: write it as localhost:5432, 10.1.0.0/16:443 or 10.1.2.3:*`);
  }
  return { host, ...(number !== undefined && { port: number }) };
}

/** A rule whose host is numbers. */
export interface AllowedPrefix {
  readonly prefix: Ipv4Prefix;
  readonly port?: number;
}

/** Asks for the addresses behind names. Throws `NetworkError` for one that has none. */
export async function resolveAllow(
  rules: readonly AllowRule[],
  resolve: (name: string) => Promise<readonly Ipv4[]>,
): Promise<readonly AllowedPrefix[]> {
  const resolved = await Promise.all(
    rules.map(async ({ host, port: number }) => {
      const prefix = host === "localhost" ? { base: loopback, bits: 32 } : parsePrefix(host);
      const prefixes = prefix ? [prefix] : (await resolve(host)).map((base) => ({ base, bits: 32 }));
      if (prefixes.length === 0) {
        throw new NetworkError(`the host "${host}" that is to be allowed has no IPv4 address: check the name`);
      }
      return prefixes.map((each) => ({ prefix: each, ...(number !== undefined && { port: number }) }));
    }),
  );
  return resolved.flat();
}
