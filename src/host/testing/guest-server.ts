/** For tests of a guest's network: a server for the guest, and a host that asks it much at once. */
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { nativeProgramIfAny } from "../../../test/native/programs.ts";

/** A program for the guest that sends back what each connection sends (test/native); undefined where there is no compiler. */
export function echoServer(): Uint8Array | undefined {
  const program = nativeProgramIfAny("echo-server", "-O1", "-static");
  return program === undefined ? undefined : readFileSync(program);
}

/** A port of this host that nobody has now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** So many connections to an echo server, all open at once; then each asks something of its own. How many answers are right. */
export async function askAllAtOnce(port: number, count: number): Promise<number> {
  const sockets = await Promise.all(Array.from({ length: count }, () => opened(port)));
  const answers = await Promise.all(sockets.map((socket, n) => ask(socket, `question ${n}`)));
  return answers.filter((answer, n) => answer === `question ${n}`).length;
}

function opened(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => resolve(socket));
    socket.once("error", reject);
  });
}

/** Sends it, and gives what has come back when it is as long. */
function ask(socket: Socket, question: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes.toString("latin1");
      if (answer.length < question.length) return;
      resolve(answer);
      socket.destroy();
    });
    socket.once("error", reject);
    socket.write(question);
  });
}
