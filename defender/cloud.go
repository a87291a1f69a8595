package defender

import (
	"fmt"
	"net/url"
	"strings"
)

// Cloud is where a tenant lives.
type Cloud struct {
	Name string // public, gcc, gcc-high or dod
	// APIURL is the root of the API, [Config.APIURL].
	APIURL string
	// AuthorityURL is where to sign in, [AuthConfig.AuthorityURL].
	AuthorityURL string
	// Scope is what to ask a token for, [AuthConfig.Scope].
	Scope string
}

// ParseCloud returns the addresses of a cloud: public, gcc, gcc-high or dod;
// empty means public. API and sign-in hosts are those of Microsoft's
// documentation. It does not tell the scope of the government clouds; the one
// here is what other clients use.
func ParseCloud(name string) (Cloud, error) {
	switch strings.ToLower(name) {
	case "", "public":
		return Cloud{
			Name:         "public",
			APIURL:       "https://api.security.microsoft.com",
			AuthorityURL: "https://login.microsoftonline.com",
			// The audience did not follow when the API moved to its new host.
			Scope: "https://api.securitycenter.microsoft.com/.default",
		}, nil
	case "gcc":
		return Cloud{
			Name:         "gcc",
			APIURL:       "https://api-gcc.securitycenter.microsoft.us",
			AuthorityURL: "https://login.microsoftonline.com",
			Scope:        "https://securitycenter.onmicrosoft.com/windowsatpservice/.default",
		}, nil
	case "gcc-high", "dod":
		return Cloud{
			Name:         strings.ToLower(name),
			APIURL:       "https://api-gov.securitycenter.microsoft.us",
			AuthorityURL: "https://login.microsoftonline.us",
			Scope:        "https://securitycenter.onmicrosoft.us/windowsatpservice/.default",
		}, nil
	}
	return Cloud{}, fmt.Errorf("%w: cloud %q is none of public, gcc, gcc-high, dod", ErrConfig, name)
}

// Region returns the cloud with the API host of a region: us, eu, uk, au, swa or
// ina; empty changes nothing. Regions are nearer, not different, and only the
// public cloud has them.
func (c Cloud) Region(region string) (Cloud, error) {
	region = strings.ToLower(region)
	switch region {
	case "":
		return c, nil
	case "us", "eu", "uk", "au", "swa", "ina":
	default:
		return Cloud{}, fmt.Errorf("%w: region %q is none of us, eu, uk, au, swa, ina", ErrConfig, region)
	}
	if c.Name != "public" {
		return Cloud{}, fmt.Errorf("%w: the cloud %s has no regions", ErrConfig, c.Name)
	}
	c.APIURL = "https://" + region + ".api.security.microsoft.com"
	return c, nil
}

// Audiences returns the audiences that a token for this cloud is known to have,
// for [Claims.CheckOffboard].
func (c Cloud) Audiences() []string {
	known := []string{
		strings.TrimSuffix(c.Scope, "/.default"),
		"https://securitycenter.onmicrosoft.com/windowsatpservice",
		"fc780465-2017-40d4-a0c5-307022471b92", // the app id of WindowsDefenderATP
	}
	if u, err := url.Parse(c.APIURL); err == nil && c.Name != "public" {
		known = append(known, u.Scheme+"://"+u.Host)
	}
	return known
}
