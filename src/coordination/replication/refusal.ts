/** A server was found to be other than thought, before anything was begun there. */
export class Refusal extends Error {}
