/** Category of what subscriptions keep in the log. */
export const SUBSCRIPTIONS = '$subscription'

/** The stream of a subscription's group. */
export function groupStream(name: string): string {
  return `${SUBSCRIPTIONS}-${name}`
}

/** The stream of the ledger of a partition. */
export function ledgerStream(name: string, partition: number): string {
  return `${SUBSCRIPTIONS}-${name}/${partition}`
}

/** What keeps the log from being truncated: for a partition, or for the group. */
export function holdName(name: string, partition?: number): string {
  return `subscription ${name}${partition === undefined ? '' : `/${partition}`}`
}
