// @ts-check

// Loaded into the node before it starts: it ends when the runner is gone, killed perhaps, as the services do.
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
process.channel?.unref()
