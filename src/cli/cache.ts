import { askAdmin } from './admin-client.js'

/** `banyan cache purge`. */
export async function purge(options: {
  route?: string
  host?: string
  path?: string
  admin: string
}): Promise<void> {
  const { admin, ...which } = options
  const { purged } = (await askAdmin(admin, '/api/cache/purge', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(which),
  })) as { purged: number }
  console.log(`${purged} ${purged === 1 ? 'answer' : 'answers'} forgotten`)
}
