/**
 * Gives partitions to members, to each as many as to the others, one more at most; no more of them change hands than must.
 * All members come to the same result, as all see the same comings and goings in the same order.
 *
 * @param before - which member each partition was given to
 * @param members - in the order in which they came
 */
export function balance(
  before: readonly (string | undefined)[],
  members: readonly string[],
): (string | undefined)[] {
  if (members.length === 0) return before.map(() => undefined)
  const owned = new Map<string, number[]>(members.map((member) => [member, []]))
  const free: number[] = []
  before.forEach((member, partition) => {
    const own = member === undefined ? undefined : owned.get(member)
    ;(own ?? free).push(partition)
  })
  const least = Math.floor(before.length / members.length)
  // Those who have most keep one more.
  const byCount = [...owned.entries()].sort(([, a], [, b]) => b.length - a.length)
  const extra = before.length % members.length
  byCount.forEach(([, own], place) => free.push(...own.splice(least + (place < extra ? 1 : 0))))
  free.sort((a, b) => a - b)
  byCount.forEach(([, own], place) => {
    while (own.length < least + (place < extra ? 1 : 0)) own.push(free.shift()!)
  })
  const after: (string | undefined)[] = before.map(() => undefined)
  for (const [member, own] of owned) for (const partition of own) after[partition] = member
  return after
}
