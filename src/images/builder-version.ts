/** Raise it when anything that this folder writes into an image changes: prepared images are then made anew. */
export const builderVersion = 9;
