# bash completion for lodge; made by "lodge gen bash", do not edit
# shellcheck shell=bash disable=SC2207
_lodge() {
	local cur=${COMP_WORDS[COMP_CWORD]}
	local prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	if [ "$COMP_CWORD" -eq 1 ]; then
		COMPREPLY=($(compgen -W "run info help version --help --version" -- "$cur"))
		return
	fi
	case ${COMP_WORDS[1]} in
	run) _lodge_run ;;
	info) _lodge_info ;;
	help) COMPREPLY=($(compgen -W "run info help version boot serial keys exit config accel cpu devices machines trace" -- "$cur")) ;;
	esac
}

# cur and prev are _lodge's
_lodge_run() {
	case $prev in
	--kernel)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--initrd)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--append)
		return ;;
	--boot)
		COMPREPLY=($(compgen -W "auto pvh linux setup" -- "$cur"))
		return ;;
	--raw)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--accel)
		COMPREPLY=($(compgen -W "auto kvm bt script" -- "$cur"))
		return ;;
	--machine)
		return ;;
	--cpus)
		return ;;
	--memory)
		return ;;
	--memory-backing)
		COMPREPLY=($(compgen -W "anon memfd hugetlb" -- "$cur"))
		return ;;
	--numa)
		return ;;
	--irqchip)
		COMPREPLY=($(compgen -W "kernel split user" -- "$cur"))
		return ;;
	--gic)
		COMPREPLY=($(compgen -W "auto 2 3" -- "$cur"))
		return ;;
	--dtb)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--serial)
		return ;;
	--device)
		return ;;
	--name)
		return ;;
	--cpu)
		return ;;
	--cpu-pin)
		return ;;
	--timeout)
		return ;;
	--watch)
		return ;;
	--script)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--trace)
		return ;;
	--trace-file)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--stats)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--config)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "--kernel --initrd --append --boot --kaslr --raw --accel --machine --cpus --memory --memory-backing --numa --irqchip --hpet --gic --acpi --dtb --serial --device --name --cpu --cpu-pin --no-reboot --timeout --watch --script --trace --trace-file --stats --verbose --quiet --config --dump-config --help" -- "$cur"))
	else
		COMPREPLY=($(compgen -f -- "$cur"))
	fi
}

# cur and prev are _lodge's
_lodge_info() {
	case $prev in
	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "--json --help" -- "$cur"))
	fi
}

complete -o filenames -F _lodge lodge
