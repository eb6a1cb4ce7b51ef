/** Proofs of a secret, by Node. */
import { createHmac } from "node:crypto";
import type { Sign } from "#memory/remote";

export const sign: Sign = (secret, ...parts) => {
  const hmac = createHmac("sha256", secret);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
};
