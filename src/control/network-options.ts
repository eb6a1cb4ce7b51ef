/** A network as people write it, made into what a machine is given. */
import { cardAddress, NetworkError, type NetworkOptions, parseAllow, parsePublish } from "#net/rules";
import { VmError, type VmNetwork } from "./vm-api.ts";

/** Throws `VmError` for what makes no sense. */
export function networkOptions({ publish = [], allow = [], mac, relay }: VmNetwork): NetworkOptions {
  const card = mac === undefined ? {} : { mac };
  checked(() => cardAddress(card));
  return {
    publish: publish.map((each) => checked(() => parsePublish(each))),
    allow: allow.map((each) => checked(() => parseAllow(each))),
    ...card,
    ...(relay !== undefined && { relay }),
  };
}

/** What the network says of an option, said of a machine's. */
export function checked<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof NetworkError) throw new VmError("option", error.message);
    throw error;
  }
}
