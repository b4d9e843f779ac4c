# Stops the server in folder $1 once no process has used it for $2 seconds: each user holds a shared lock on `users`, which the system lets go
# when the process ends, however it ends. $3 is pg_ctl, $4 the user that the server runs as, empty for this one; $5 is `own` for a server whose
# folder goes with it.
exec 8>>"$1/watchdog"
flock -n 8 || exit 0
exec 9>>"$1/users"
idle=0
while [ "$idle" -lt "$2" ]; do
    sleep 1
    if flock -n 9; then
        flock -u 9
        idle=$((idle + 1))
    else
        idle=0
    fi
done
# Whoever comes now waits, and starts another server.
flock 9
if [ -n "$4" ]; then
    setpriv --reuid="$4" --regid="$4" --clear-groups "$3" -D "$1/server/data" -m immediate -w stop
else
    "$3" -D "$1/server/data" -m immediate -w stop
fi
rm -rf "$1/server"
if [ "$5" = own ]; then rm -rf "$1"; fi
