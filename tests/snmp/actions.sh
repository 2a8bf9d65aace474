#!/bin/sh
# Objects of the vendor's MIB, for snmpd's pass_persist: the events' strings of actions and the command to apply.
#
# Usage: actions.sh DIRECTORY. An object is a file there, named by its number below the root, such as 1.1.6.2.0; its
# content is its value. What is set is noted in the file "sets", a line each. An object that the file "refused" names
# does not take any value. The command to apply is answered as many seconds late as the file "late" says, if it is
# there, and puts what is set then into the directory "applied". A file "meddled.1.1.6.2.0" is somebody else, who sets
# that object to the file's content when it has been read once.
set -u
directory=$1
root=.1.3.6.1.4.1.5597.30
execute=2.1.0

object() {
    case $1 in
        "$root".*) printf '%s' "${1#"$root".}" ;;
        *) printf 'none' ;;
    esac
}

kind() {
    case $1 in
        "$execute") echo integer ;;
        *) echo string ;;
    esac
}

while read -r command; do
    case $command in
        PING)
            echo PONG
            ;;
        get)
            read -r oid
            object=$(object "$oid")
            if [ -f "$directory/meddling.$object" ]; then
                mv "$directory/meddling.$object" "$directory/$object"
            elif [ -f "$directory/meddled.$object" ]; then
                mv "$directory/meddled.$object" "$directory/meddling.$object"
            fi
            if [ -f "$directory/$object" ]; then
                echo "$oid"
                kind "$object"
                cat "$directory/$object"
                echo
            else
                echo NONE
            fi
            ;;
        getnext)
            read -r oid
            echo NONE
            ;;
        set)
            read -r oid
            read -r value
            object=$(object "$oid")
            # "string" and the text in quotes, or "integer" and the number.
            value=${value#* }
            value=${value#\"}
            value=${value%\"}
            if [ ! -f "$directory/$object" ]; then
                echo not-writable
            elif grep -qxF "$object" "$directory/refused" 2>/dev/null; then
                echo wrong-value
            else
                printf '%s=%s\n' "$object" "$value" >>"$directory/sets"
                if [ "$object" = "$execute" ]; then
                    mkdir -p "$directory/applied"
                    cp "$directory"/1.1.6.* "$directory/applied"
                    [ -f "$directory/late" ] && sleep "$(cat "$directory/late")"
                else
                    printf '%s' "$value" >"$directory/$object"
                fi
                echo DONE
            fi
            ;;
    esac
done
