/** `relay`: lends this host's sockets to machines in browser pages. */
import { allowList, command, list, text } from "../schema.ts";

export const relayCommand = command({
  name: "relay",
  summary: "lend this host's sockets to machines in browser pages",
  options: {
    listen: { ...text("[ADDRESS:]PORT", "where pages find it"), byDefault: "127.0.0.1:8765" },
    token: text("TOKEN", "what a page has to show; else one is made up and printed"),
    origin: list("ORIGIN", "a site whose pages may use it, as https://example.org; else pages of this computer"),
    allow: allowList("what they may reach on this host or link-local: localhost:5432"),
    only: allowList("all that they may reach: 10.1.0.0/16:443"),
  },
  notes: `It runs until it is interrupted. A page of a site with https needs wss: put a server with a certificate in front.`,
});
