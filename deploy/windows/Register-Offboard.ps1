<#
.SYNOPSIS
Registers the scheduled tasks 'offboard' and 'offboard follow'.

.DESCRIPTION
The first runs a list every night, the second looks every hour whether the
devices have acted. Run it elevated, in Windows PowerShell 5.1 or PowerShell 7.
Run again it replaces the tasks.

The tasks run as a group managed service account, which has no password that
anybody knows. It needs the right to log on as a batch job, to read the list and
the certificate, and to change the state directory. Settings are read from the
machine's environment: AZURE_TENANT_ID, AZURE_CLIENT_ID and
AZURE_CLIENT_CERTIFICATE_PATH; a secret does not belong there.

.EXAMPLE
.\Register-Offboard.ps1 -Account 'CONTOSO\offboard$' -List 'C:\ProgramData\offboard\retired.csv'
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    [Parameter(Mandatory = $true)] [string] $Account,
    [Parameter(Mandatory = $true)] [string] $List,
    [string] $Campaign = 'retired',
    [string] $Comment = 'retired by schedule',
    [int] $Max = 500,
    [string] $At = '22:00',
    [string] $Binary = (Join-Path $env:ProgramFiles 'offboard\offboard.exe'),
    [string] $StateDirectory = (Join-Path $env:ProgramData 'offboard')
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

foreach ($value in @($List, $Campaign, $Comment, $StateDirectory)) {
    if ($value.Contains('"') -or $value.EndsWith('\')) {
        throw "A quotation mark, or a backslash at the end, would break the command line: $value"
    }
}
foreach ($file in @($Binary, $List)) {
    if (-not (Test-Path -LiteralPath $file -PathType Leaf)) {
        throw "There is no file $file"
    }
}
if (-not (Test-Path -LiteralPath $StateDirectory -PathType Container)) {
    New-Item -ItemType Directory -Path $StateDirectory | Out-Null
}

$journal = Join-Path $StateDirectory 'offboard.journal'
$log = Join-Path $StateDirectory 'offboard.log'
$run = "run `"$List`" --campaign `"$Campaign`" --comment `"$Comment`" --max $Max --yes --journal `"$journal`" --log-file `"$log`""
$follow = "follow --campaign `"$Campaign`" --for 0 --journal `"$journal`" --log-file `"$log`""

$principal = New-ScheduledTaskPrincipal -UserId $Account -LogonType Password -RunLevel Limited
# A second instance is not started while one is at work. Nothing ends a run: it ends itself.
$settings = New-ScheduledTaskSettingsSet -MultipleInstances IgnoreNew -StartWhenAvailable -ExecutionTimeLimit ([TimeSpan]::Zero)
$nightly = New-ScheduledTaskTrigger -Daily -At $At
$hourly = New-ScheduledTaskTrigger -Once -At (Get-Date).Date -RepetitionInterval (New-TimeSpan -Hours 1)

$tasks = @(
    @{ Name = 'offboard'; Arguments = $run; Trigger = $nightly },
    @{ Name = 'offboard follow'; Arguments = $follow; Trigger = $hourly }
)
foreach ($task in $tasks) {
    $action = New-ScheduledTaskAction -Execute $Binary -Argument $task.Arguments -WorkingDirectory $StateDirectory
    if ($PSCmdlet.ShouldProcess($task.Name, 'Register the scheduled task')) {
        Register-ScheduledTask -TaskName $task.Name -Action $action -Trigger $task.Trigger -Principal $principal -Settings $settings -Force | Out-Null
    }
}
