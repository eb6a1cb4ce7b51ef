/** The record of a balloon. What it took from the guest is the guest's to remember. */

export type BalloonState = {
  /** Pages of 4 KiB that the guest is asked to do without. */
  target: number;
  /** Pages that it says it does without. */
  actual: number;
};

export const newBalloonState = (): BalloonState => ({ target: 0, actual: 0 });
