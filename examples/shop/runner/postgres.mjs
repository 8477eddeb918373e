// @ts-check
/**
 * Where the old system has its table: what `SHOP_POSTGRES` says; with `--postgres` a server of its own, with nothing in it,
 * which is removed in the end.
 *
 * @param {boolean} own
 * @returns {Promise<{ url: string | undefined, stop: () => Promise<void> }>}
 */
export async function openPostgres(own) {
  if (!own) return { url: process.env['SHOP_POSTGRES'], stop: async () => undefined }
  console.log('  Starting a PostgreSQL; it is installed if there is none.')
  const { start } = await import('../../../scripts/engines.mjs')
  // Ctrl-C goes to all processes of the terminal, and this one is needed until the others have gone.
  const wrap = process.platform === 'linux' ? ['setsid'] : []
  const { port, stop } = await start('postgres', {}, { wrap })
  return { url: `postgres://postgres@127.0.0.1:${port}/postgres`, stop }
}
