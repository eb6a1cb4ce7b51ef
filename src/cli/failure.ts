/** A command that cannot go on, with what to print and the status to end with. */
export class Failure extends Error {
  override name = "Failure";
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}
